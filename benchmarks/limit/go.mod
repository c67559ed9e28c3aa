module airbundle.dev/limit

go 1.21
