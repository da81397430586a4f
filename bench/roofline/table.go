package roofline

import (
	"fmt"
	"io"
	"text/tabwriter"

	"optin/bench/measure"
)

// Print writes rows as a table; checked says what is known of an op's results.
func Print(w io.Writer, rows []Row, checked func(op string) string) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "op\tone worker's share\tchecked\ttime\t±\tMB\tMop\tfloor\tlimit\tshare reached")
	for _, r := range rows {
		limit := "memory"
		if r.Arithmetic {
			limit = "arithmetic"
		}
		throttled := ""
		if r.Throttled != "" {
			throttled = ", throttled: " + r.Throttled
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%v\t%.0f %%\t%.4g\t%.4g\t%v\t%s\t%.1f %%%s\n", r.Op, r.Shape, checked(r.Op), measure.Rounded(r.Seconds.Value),
			100*r.Seconds.RelativeWidth(), float64(r.Bytes)/1e6, float64(r.Operations)/1e6, measure.Rounded(r.Floor), limit, 100*r.Share(), throttled)
	}
	return tab.Flush()
}
