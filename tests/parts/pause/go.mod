module airbundle.dev/tests/parts/pause

go 1.21
