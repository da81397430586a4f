package checkpoint

func readTorch(file *weightFile) (map[string]entry, error) {
	return nil, unsupported(file.path, "PyTorch files are not read yet")
}
