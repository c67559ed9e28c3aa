module airbundle.dev/reader

go 1.21
