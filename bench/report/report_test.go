package report

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"flag"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"optin/bench/disk"
	"optin/bench/record"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata, leaving NAME.got where they differ.
func golden(t *testing.T, name string, got []byte, equal func(got, want []byte) (bool, error)) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := disk.WriteFile(path, got); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	same, err := equal(got, want)
	if err != nil {
		t.Fatal(err)
	}
	if !same {
		if err := os.WriteFile(path+".got", got, 0o666); err != nil {
			t.Fatal(err)
		}
		t.Errorf("%s differs from %s.got: rewrite it with -update if that is better", path, path)
	}
}

func sameBytes(got, want []byte) (bool, error) { return bytes.Equal(got, want), nil }

// samePicture allows the difference that fused multiply-adds make between
// processors: one pixel in a thousand off by a shade.
func samePicture(got, want []byte) (bool, error) {
	a, err := png.Decode(bytes.NewReader(got))
	if err != nil {
		return false, err
	}
	b, err := png.Decode(bytes.NewReader(want))
	if err != nil || a.Bounds() != b.Bounds() {
		return false, err
	}
	size, off := a.Bounds(), 0
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			r0, g0, b0, _ := a.At(x, y).RGBA()
			r1, g1, b1, _ := b.At(x, y).RGBA()
			const shade = 0x800
			if max(r0, r1)-min(r0, r1)+max(g0, g1)-min(g0, g1)+max(b0, b1)-min(b0, b1) > shade {
				off++
			}
		}
	}
	return off*1000 <= size.Dx()*size.Dy(), nil
}

func TestTexts(t *testing.T) {
	rec := exampleRecord()
	dir := t.TempDir()
	files, err := Write(rec, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(files, filepath.Join(dir, "report.md")) {
		t.Errorf("files: %v", files)
	}
	for _, name := range []string{"report.md", "tables.tex", "runs.csv", "timings.csv"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, got, sameBytes)
	}
	for line := range strings.Lines(readText(t, filepath.Join(dir, "report.md"))) {
		if _, after, ok := strings.Cut(line, "]("); ok && strings.HasPrefix(line, "![") {
			file, _, _ := strings.Cut(after, ")")
			if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
				t.Errorf("report.md shows a picture that is not there: %v", err)
			}
		}
	}
	var terminal bytes.Buffer
	if err := Print(&terminal, rec); err != nil {
		t.Fatal(err)
	}
	golden(t, "terminal.txt", terminal.Bytes(), sameBytes)
}

// TestScoredOn: ways are scored on numbers of examples of their own; a record may not
// say so.
func TestScoredOn(t *testing.T) {
	rec := exampleRecord()
	if slices.Contains(timeTable(rec).header, "Scored on") {
		t.Error("a column of what nobody noted")
	}
	rec.Runs[0].Calibration = &record.Sample{Examples: 32}
	got := timeTable(rec)
	if got.header[2] != "Scored on" || got.rows[0][2] != "32" || got.rows[1][2] != notAvailable {
		t.Errorf("%q, %q, %q", got.header, got.rows[0], got.rows[1])
	}
}

func TestPictures(t *testing.T) {
	list, err := pictures(exampleRecord())
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, p := range list {
		if p.model == "deit-fashion" && p.main {
			golden(t, filepath.Base(p.name)+".png", p.png, samePicture)
			shown++
		}
		checkSVG(t, p)
		if _, err := png.DecodeConfig(bytes.NewReader(p.png)); err != nil {
			t.Errorf("%s.png: %v", p.name, err)
		}
	}
	if shown != 4 { // quality, speed, scores, what remains
		t.Errorf("%d plots are shown of a model", shown)
	}
}

// checkSVG checks that a vector picture is well formed and that its texts are.
func checkSVG(t *testing.T, p picture) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(p.svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Errorf("%s.svg: %v", p.name, err)
			return
		}
	}
	if bytes.Contains(p.svg, []byte("NaN")) {
		t.Errorf("%s.svg has a coordinate that is not a number", p.name)
	}
}

// TestRepeats checks that the same record gives the same bytes.
func TestRepeats(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	files, err := Write(exampleRecord(), first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Write(exampleRecord(), second); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, err := filepath.Rel(first, f)
		if err != nil {
			t.Fatal(err)
		}
		if readText(t, f) != readText(t, filepath.Join(second, name)) {
			t.Errorf("%s differs the second time", name)
		}
	}
}

func TestAwkward(t *testing.T) {
	dir := t.TempDir()
	if _, err := Write(awkwardRecord(), dir); err != nil {
		t.Fatal(err)
	}
	md, tex := readText(t, filepath.Join(dir, "report.md")), readText(t, filepath.Join(dir, "tables.tex"))
	for _, want := range []string{notAvailable, `a\|b\_c\*d&amp;e%f$g\#h{i}j^k\~l\\m&lt;n&gt;` + "\\`o\\`" + `\[p\]`, "````toml", "score.tau=2", "INVALID"} {
		if !strings.Contains(md, want) {
			t.Errorf("report.md has no %s", want)
		}
	}
	if want := `a|b\_c*d\&e\%f\$g\#h\{i\}j\textasciicircum{}k\textasciitilde{}l\textbackslash{}m\textless{}n\textgreater{}`; !strings.Contains(tex, want) {
		t.Errorf("tables.tex has no %s", want)
	}
	rows, err := csv.NewReader(strings.NewReader(readText(t, filepath.Join(dir, "runs.csv")))).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][9] != notAvailable {
		t.Errorf("runs.csv: %v %v", rows, err)
	}
	var b bytes.Buffer
	if err := Print(&b, awkwardRecord()); err != nil || !strings.Contains(b.String(), notAvailable) {
		t.Errorf("printed %s %v", b.String(), err)
	}
	if err := Print(&b, &record.Record{}); err != nil {
		t.Errorf("an empty record: %v", err)
	}
	if _, err := Write(&record.Record{}, t.TempDir()); err != nil {
		t.Errorf("an empty record: %v", err)
	}
}

func TestWriteErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(&record.Record{}, file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("writing into a file: %v", err)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
