// Package record is what an experiment leaves behind: one [Record] for one
// experiment file, stored as record.json. Package experiment writes it, package
// report reads it, and neither knows the other.
//
// A record is data and nothing else. A figure that is not there is nil, in JSON
// null, and prints as "not available"; it is never zero by accident. Figures
// are in base units and fractions: seconds, bytes, multiply-accumulates (MACs;
// 1 MAC is 2 FLOPs), 0.5 and not 50 %.
//
//	rec, err := record.Load("results/quickstart/record.json")
//	err = record.Save("results/quickstart/record.json", rec)
package record
