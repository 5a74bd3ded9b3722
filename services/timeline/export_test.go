package timeline

// Stands tells where a cursor stands: the next row of each partition, and by which version of the links.
func Stands(text string) (next map[int32][2]int64, version string, err error) {
	c, err := decodeCursor(text)
	next = map[int32][2]int64{}
	for p, at := range c.next {
		next[p] = [2]int64{at.offset, int64(at.n)}
	}
	return next, c.scope, err
}
