package report

import (
	"fmt"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"optin/bench/disk"
	"optin/bench/record"
)

// WriteTraining draws the loss of a training, and what was reached on the way,
// as loss.png and loss.svg in a folder, and returns the files it wrote.
func WriteTraining(t *record.Training, dir string) ([]string, error) {
	png, svg, err := trainingFigure(t).render()
	if err != nil {
		return nil, fmt.Errorf("report: plot of the loss: %w", err)
	}
	files := []string{filepath.Join(dir, "loss.png"), filepath.Join(dir, "loss.svg")}
	for i, data := range [][]byte{png, svg} {
		if err := disk.WriteFile(files[i], data); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// trainingFigure is the loss above the headline metric, over the same epochs.
func trainingFigure(t *record.Training) *figure {
	f := &figure{
		title:    fmt.Sprintf("%s: training on %s", t.Name, t.Task),
		subtitle: fmt.Sprintf("%d steps over %d examples", t.Steps, t.Examples),
		width:    16 * vg.Centimeter, height: 9 * vg.Centimeter,
	}
	loss := newPlot("Epoch", "Loss")
	var steps plotter.XYs
	for _, p := range t.Curve {
		steps = append(steps, plotter.XY{X: p.Epoch, Y: p.Loss})
	}
	style := solid(hue(0), 1.4)
	loss.Add(&plotter.Line{XYs: steps, LineStyle: style})
	loss.Y.Min, loss.Y.Max = wider(loss.Y.Min, loss.Y.Max, 0.04)
	f.legend = append(f.legend, sample{label: "loss", line: &style})
	panels := []*plot.Plot{loss}
	if quality := qualityPanel(t); quality != nil {
		loss.X.Label.Text = ""
		f.height = 15 * vg.Centimeter
		style, mark := solid(hue(1), 1.6), glyph(1)
		split := t.Evaluations[0].Split
		f.legend = append(f.legend, sample{label: fmt.Sprintf("%s on %s", t.Evaluations[0].Metrics[0].Name, split), line: &style, glyph: &mark})
		panels = append(panels, quality)
	}
	for _, p := range panels {
		p.X.Min, p.X.Max = 0, t.Epochs
	}
	f.body = func(c draw.Canvas) { stack(c, panels) }
	return f
}

// qualityPanel draws the headline metric at the evaluations; nil where there is
// none.
func qualityPanel(t *record.Training) *plot.Plot {
	p := newPlot("Epoch", "Percent")
	var line curve
	for _, e := range t.Evaluations {
		if len(e.Metrics) == 0 || e.Metrics[0].Value == nil {
			continue
		}
		line.add(t.Epochs*float64(e.Step)/float64(t.Steps), 100**e.Metrics[0].Value, 0)
	}
	if len(line.XYs) == 0 {
		return nil
	}
	line.draw(p, 1)
	p.Y.Min, p.Y.Max = wider(p.Y.Min, p.Y.Max, 0.06)
	return p
}

// stack draws panels of equal height below each other, their axes in line.
func stack(c draw.Canvas, panels []*plot.Plot) {
	grid := make([][]*plot.Plot, len(panels))
	for i, p := range panels {
		grid[i] = []*plot.Plot{p}
	}
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadY: 10}
	for i, row := range plot.Align(grid, tiles, c) {
		panels[i].Draw(row[0])
	}
}
