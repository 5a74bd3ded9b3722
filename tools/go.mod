module github.com/skein-cx/skein/tools

go 1.26.0

replace github.com/skein-cx/skein/proto => ../proto

replace github.com/skein-cx/skein/pkg => ../pkg

require (
	github.com/bufbuild/protocompile v0.14.1
	github.com/skein-cx/skein/pkg v0.0.0
	github.com/skein-cx/skein/proto v0.0.0
	go.yaml.in/yaml/v3 v3.0.5
	google.golang.org/protobuf v1.36.12
)

require golang.org/x/sync v0.24.0 // indirect
