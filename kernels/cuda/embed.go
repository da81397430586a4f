//go:build cuda

package cuda

import (
	"embed"
	"io/fs"
)

// The folder always has a file, so that a build without compiled kernels compiles too; it
// says so when a device is opened.
//
//go:embed all:images
var embedded embed.FS

// Images are the compiled kernels that this program embeds, for [Select].
func Images() fs.FS {
	images, err := fs.Sub(embedded, "images")
	if err != nil {
		panic(err) // the name is a valid one
	}
	return images
}
