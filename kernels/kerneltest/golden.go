package kerneltest

func goldenPrograms() []Program { return nil }
