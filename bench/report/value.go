package report

import (
	"fmt"
	"math"
	"strconv"

	"optin/bench/record"
)

// notAvailable stands where a record has no figure.
const notAvailable = "not available"

// show formats a figure that may be missing.
func show(v *float64, format func(float64) string) string {
	if v == nil || math.IsNaN(*v) {
		return notAvailable
	}
	return format(*v)
}

// percent writes a fraction in percent with two digits, without the sign.
func percent(v float64) string { return strconv.FormatFloat(100*v, 'f', 2, 64) }

// percent1 does with one digit and the sign.
func percent1(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + " %" }

// scaled writes a number with three digits and a prefix, such as 1.23 G.
func scaled(v float64) string {
	for _, p := range []struct {
		size   float64
		prefix string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if math.Abs(v) >= 0.9995*p.size {
			return three(v/p.size) + p.prefix
		}
	}
	return three(v)
}

// three writes a number with three digits, without an exponent where people
// would not use one.
func three(v float64) string {
	a := math.Abs(v)
	switch {
	case a == 0:
		return "0"
	case a >= 99.95 && a < 1e6:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a >= 1e-3:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'e', 1, 64)
}

// seconds writes a time with its unit.
func seconds(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0 s"
	case a < 0.9995e-3:
		return three(1e6*v) + " µs"
	case a < 0.9995:
		return three(1e3*v) + " ms"
	case a < 600:
		return three(v) + " s"
	}
	return fmt.Sprintf("%.0f min", v/60)
}

// bytesOf writes a size with its unit.
func bytesOf(v *int64) string {
	if v == nil {
		return notAvailable
	}
	switch n := float64(*v); {
	case n >= 1<<30:
		return three(n/(1<<30)) + " GiB"
	case n >= 1<<20:
		return three(n/(1<<20)) + " MiB"
	default:
		return three(n/(1<<10)) + " KiB"
	}
}

// interval writes an estimate and its interval.
func interval(e *record.Estimate, format func(float64) string) string {
	if e == nil {
		return notAvailable
	}
	return fmt.Sprintf("%s (%s to %s)", format(e.Value), format(e.Low), format(e.High))
}

// medianOf writes an estimate without its interval.
func medianOf(e *record.Estimate, format func(float64) string) string {
	if e == nil {
		return notAvailable
	}
	return format(e.Value)
}

// mean of some figures, nil if one is missing.
func mean(values []*float64) *float64 {
	var sum float64
	for _, v := range values {
		if v == nil {
			return nil
		}
		sum += *v
	}
	if len(values) == 0 {
		return nil
	}
	sum /= float64(len(values))
	return &sum
}

// spread is the standard deviation of some figures, nil if one is missing or
// there are fewer than two.
func spread(values []*float64) *float64 {
	m := mean(values)
	if m == nil || len(values) < 2 {
		return nil
	}
	var sum float64
	for _, v := range values {
		sum += (*v - *m) * (*v - *m)
	}
	sd := math.Sqrt(sum / float64(len(values)-1))
	return &sd
}
