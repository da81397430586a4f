package kerneltest_test

import (
	"testing"

	"optin/kernels"
	"optin/kernels/kerneltest"
	"optin/kernels/ref"
)

func openRef(t *testing.T, workers int) kernels.Device {
	dev, err := ref.New(workers)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

func TestRefPasses(t *testing.T) { kerneltest.Run(t, openRef) }
