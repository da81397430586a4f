package checkpoint

import (
	"archive/zip"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// torchArchive is a file as torch.save writes it since PyTorch 1.6: a zip archive with data.pkl, which describes the tensors,
// and one uncompressed file data/KEY for each storage, all below one folder of any name.
type torchArchive struct {
	file   *weightFile
	prefix string // that folder, with its slash
	parts  map[string]*zip.File
}

// readTorch lists the tensors of a PyTorch state dict.
func readTorch(file *weightFile) (map[string]entry, error) {
	archive, err := openTorch(file)
	if err != nil {
		return nil, err
	}
	state, err := archive.stateDict()
	if err != nil {
		return nil, err
	}
	entries := map[string]entry{}
	for _, name := range state.keys {
		t, ok := state.values[name].(storedTensor)
		if !ok {
			continue // counters and the like
		}
		at, err := archive.locate(name, t)
		if err != nil {
			return nil, err
		}
		entries[name] = entry{Tensor: Tensor{Name: name, DType: t.dtype, Shape: t.shape, File: file.path}, at: at}
	}
	if len(entries) == 0 {
		return nil, unsupported(file.path, "no tensors at the top level (keys there: %s): not a Hugging Face state dict",
			clip(strings.Join(state.keys, ", ")))
	}
	return entries, nil
}

// openTorch reads the archive's directory.
func openTorch(file *weightFile) (*torchArchive, error) {
	var magic [2]byte
	if _, err := file.ReadAt(magic[:], 0); err == nil && magic[0] == 0x80 && magic[1] <= 5 {
		return nil, &FormatError{File: file.path, Problem: "this is PyTorch's format from before version 1.6, which is not read",
			Remedy: "convert it once in Python: torch.save(torch.load(name, weights_only=True), name)"}
	}
	z, err := zip.NewReader(file, file.size)
	if err != nil {
		return nil, damaged(file.path, "", "not a readable PyTorch file (%v)", err)
	}
	a := &torchArchive{file: file, parts: make(map[string]*zip.File, len(z.File))}
	for _, part := range z.File {
		if a.parts[part.Name] != nil {
			return nil, damaged(file.path, "", "the archive holds %q twice", clip(part.Name))
		}
		a.parts[part.Name] = part
		if folder, ok := strings.CutSuffix(part.Name, "data.pkl"); ok && strings.Count(folder, "/") <= 1 {
			a.prefix = folder
		}
	}
	if a.parts[a.prefix+"data.pkl"] == nil {
		return nil, damaged(file.path, "", "the archive holds no data.pkl: not a PyTorch file")
	}
	return a, nil
}

// stateDict runs data.pkl.
func (a *torchArchive) stateDict() (*dict, error) {
	if order, err := a.text("byteorder", 16); err != nil {
		return nil, err
	} else if order != "" && order != "little" {
		return nil, unsupported(a.file.path, "byte order %q; only little-endian files are read", order)
	}
	program, err := a.text("data.pkl", maxPickleBytes)
	if err != nil {
		return nil, err
	}
	value, err := unpickle([]byte(program))
	if refused := (refusedGlobal{}); errors.As(err, &refused) {
		return nil, unsupported(a.file.path, "%v", refused)
	} else if err != nil {
		return nil, &FormatError{File: a.file.path, Problem: fmt.Sprintf("data.pkl is not a state dict: %v", err),
			Remedy: "download it again, or " + remedyConvert}
	}
	state, ok := value.(*dict)
	if !ok {
		return nil, unsupported(a.file.path, "data.pkl holds no dictionary of tensors")
	}
	return state, nil
}

// text returns the contents of a small part, "" if there is none.
func (a *torchArchive) text(name string, limit int64) (string, error) {
	part := a.parts[a.prefix+name]
	if part == nil {
		return "", nil
	}
	r, err := openPart(part)
	if err != nil {
		return "", damaged(a.file.path, "", "%s: %v", name, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return "", damaged(a.file.path, "", "%s: %v", name, err)
	}
	if int64(len(text)) > limit {
		return "", damaged(a.file.path, "", "%s holds more than %d bytes", name, limit)
	}
	if sum := checksum(part); sum != nil && *sum != crc32.ChecksumIEEE(text) {
		return "", damaged(a.file.path, "", "%s does not match its checksum", name)
	}
	return string(text), nil
}

// openPart returns the contents of a part. archive/zip's own reader insists on a checksum, which PyTorch can be told to leave out.
func openPart(part *zip.File) (io.Reader, error) {
	if part.Method == zip.Store {
		return part.OpenRaw()
	}
	return part.Open()
}

// checksum returns the CRC-32 of a part, nil if the file was saved without checksums, which leaves zeros in their place.
func checksum(part *zip.File) *uint32 {
	if part.CRC32 == 0 {
		return nil
	}
	return &part.CRC32
}

// locate finds the values of a tensor in the file and checks that they are all there.
func (a *torchArchive) locate(name string, t storedTensor) (extent, error) {
	bad := func(problem string, args ...any) (extent, error) {
		return extent{}, damaged(a.file.path, name, problem, args...)
	}
	part := a.parts[a.prefix+"data/"+t.key]
	if part == nil {
		return bad("its values data/%s are missing from the archive", clip(t.key))
	}
	if part.Method != zip.Store || part.CompressedSize64 != part.UncompressedSize64 {
		return extent{}, &FormatError{File: a.file.path, Tensor: name, Problem: "its values are compressed, which PyTorch never does", Remedy: remedyConvert}
	}
	start, err := part.DataOffset()
	if err != nil {
		return bad("data/%s: %v", clip(t.key), err)
	}
	width := t.dtype.Size()
	bytes, ok := elements([]int{t.storage.count, width})
	if !ok || uint64(bytes) != part.UncompressedSize64 {
		return bad("%d elements of %s contradict the %d bytes of data/%s", t.storage.count, t.dtype, part.UncompressedSize64, clip(t.key))
	}
	if start < 0 || int64(bytes) > a.file.size-start {
		return bad("data/%s runs past the end of the file", clip(t.key))
	}
	count, ok := elements(t.shape)
	if !ok || int64(count) > a.file.size {
		return bad("shape %v has more values than the file has bytes", t.shape)
	}
	at := extent{file: a.file, offset: start}
	if count == 0 {
		return at, nil
	}
	span, ok := t.span()
	if !ok || t.offset > t.storage.count || span > t.storage.count-t.offset {
		return bad("shape %v, stride %v and offset %d reach outside the %d elements of data/%s", t.shape, t.stride, t.offset, t.storage.count, clip(t.key))
	}
	at.offset += int64(t.offset) * int64(width)
	at.count = span
	if span == t.storage.count {
		at.crc = checksum(part)
	}
	if !t.contiguous() {
		at.view = &t.view
	}
	return at, nil
}
