module github.com/skein-cx/skein/tools

go 1.26

replace github.com/skein-cx/skein/proto => ../proto

replace github.com/skein-cx/skein/pkg => ../pkg

require (
	github.com/skein-cx/skein/pkg v0.0.0
	github.com/skein-cx/skein/proto v0.0.0
)
