package wechat

// SealWith is Encrypt with random bytes that are known.
func (c *Crypto) SealWith(random, message []byte) (string, error) { return c.seal(random, message) }
