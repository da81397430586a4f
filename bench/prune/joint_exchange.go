package prune

// patience is how many exchanges in a row may fail before they end.
const patience = 64

// exchange brings a removed unit back and removes what then costs least until
// the budget is met again, as long as that lowers the shrunk loss
//
//	sum of |g_u|^2 + (1-a) (|r|^2 - sum of |g_u|^2)
//
// whose differences prices and gains are. An exchange may be of two neurons, of
// two heads, or of a head for many neurons.
func (s *removal) exchange(most int) {
	failed := make(map[int]bool)
	untried := func(u int) bool { return !failed[u] }
	for streak := 0; most > 0 && streak < patience; most-- {
		u := s.nextIn(untried)
		if u < 0 {
			return
		}
		if s.bring(u) {
			streak = 0
		} else {
			failed[u] = true
			streak++
		}
	}
}

// bring makes the exchange that begins with u coming back, or undoes it.
func (s *removal) bring(u int) (paid bool) {
	done := []int{u} // units that changed
	loss := -s.gain(u)
	s.restore(u)
	for s.cost > s.limit {
		out := s.nextOut()
		if out < 0 || out == u {
			break
		}
		loss += s.price(out)
		s.remove(out)
		done = append(done, out)
	}
	for s.cost <= s.limit && s.room() {
		in := s.nextIn(s.canReturn)
		if in < 0 {
			break
		}
		loss -= s.gain(in)
		s.restore(in)
		done = append(done, in)
	}
	if s.cost <= s.limit && loss < 0 {
		return true
	}
	for i := len(done) - 1; i >= 0; i-- {
		s.toggle(done[i])
	}
	return false
}

func (s *removal) toggle(u int) {
	if s.on[u] {
		s.remove(u)
	} else {
		s.restore(u)
	}
}
