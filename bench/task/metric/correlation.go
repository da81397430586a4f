package metric

import (
	"math"
	"sort"
)

// moments are the sums a correlation is made of, about the means of all.
type moments struct{ n, x, y, xx, yy, xy float64 }

func (m *moments) add(x, y, times float64) {
	m.n += times
	m.x += times * x
	m.y += times * y
	m.xx += times * x * x
	m.yy += times * y * y
	m.xy += times * x * y
}

// correlation is Pearson's r; 0 where x or y does not vary.
func (m *moments) correlation() float64 {
	vx, vy := m.xx-m.x*m.x/m.n, m.yy-m.y*m.y/m.n
	const noise = 1e-14 // of the raw moments: a variance below it is rounding
	if !(vx > noise*m.xx) || !(vy > noise*m.yy) {
		return 0
	}
	r := (m.xy - m.x*m.y/m.n) / (math.Sqrt(vx) * math.Sqrt(vy))
	return max(-1, min(1, r))
}

// pearson returns the correlation and its delete-one jackknife error.
func pearson(x, y []float64) (r, stdErr float64) {
	n := float64(len(x))
	mx, my := mean(x), mean(y)
	var m moments
	for i := range x {
		m.add(x[i]-mx, y[i]-my, 1)
	}
	r = m.correlation()
	if len(x) < 3 {
		return r, 0
	}
	values := make([]float64, len(x))
	for i := range x {
		left := m
		left.add(x[i]-mx, y[i]-my, -1)
		values[i] = left.correlation()
	}
	about, sum := mean(values), 0.0
	for _, v := range values {
		sum += (v - about) * (v - about)
	}
	return r, math.Sqrt(sum * (n - 1) / n)
}

// spearman returns the correlation of the ranks and Bonett and Wright's error.
func spearman(x, y []float64) (r, stdErr float64) {
	var m moments
	rx, ry, middle := ranks(x), ranks(y), float64(len(x)+1)/2
	for i := range rx {
		m.add(rx[i]-middle, ry[i]-middle, 1)
	}
	r = m.correlation()
	if len(x) < 4 {
		return r, 0
	}
	return r, (1 - r*r) * math.Sqrt((1+r*r/2)/float64(len(x)-3))
}

// ranks counts from 1; equal values share the mean of their ranks.
func ranks(x []float64) []float64 {
	order := sorted(x)
	out := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i + 1
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			out[k] = float64(i+j+1) / 2
		}
		i = j
	}
	return out
}

// sorted are the indices of x from the smallest value up.
func sorted(x []float64) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return x[order[i]] < x[order[j]] })
	return order
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
