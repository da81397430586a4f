package record

import "fmt"

// Merge puts the records of several experiments into one, so that their models
// stand in the same tables. Name is the new record's. The provenance is the
// first's; a warning names each record that another program or device made. The
// experiment files follow one another. Two records with a model of the same name
// are an error: their runs could not be told apart.
func Merge(name string, all ...*Record) (*Record, error) {
	if len(all) == 0 {
		return nil, fmt.Errorf("record: nothing to merge")
	}
	out := &Record{Version: Version, Name: name, Provenance: all[0].Provenance}
	from := map[string]string{}
	for _, rec := range all {
		for _, m := range rec.Models {
			if other, ok := from[m.Name]; ok {
				return nil, fmt.Errorf("record: %s and %s both have a model %s: rename one's folder, or leave one record out", other, rec.Name, m.Name)
			}
			from[m.Name] = rec.Name
		}
		out.Config += fmt.Sprintf("# experiment %s\n%s\n", rec.Name, rec.Config)
		for _, o := range rec.Overrides {
			out.Overrides = append(out.Overrides, rec.Name+": "+o)
		}
		out.Models = append(out.Models, rec.Models...)
		out.Scores = append(out.Scores, rec.Scores...)
		out.Runs = append(out.Runs, rec.Runs...)
		for _, w := range rec.Warnings {
			out.Warnings = append(out.Warnings, rec.Name+": "+w)
		}
		if p := rec.Provenance; p.Revision != out.Provenance.Revision || p.Dirty != out.Provenance.Dirty || p.Device != out.Provenance.Device {
			out.Warnings = append(out.Warnings, fmt.Sprintf("%s was made by revision %s on %s, not as the provenance says", rec.Name, p.Revision, p.Device))
		}
	}
	return out, nil
}
