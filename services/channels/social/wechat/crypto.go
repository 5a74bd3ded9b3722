// Package wechat is what Tencent's platforms have in common: the signatures and the encryption of what they deliver, and the way
// in which their APIs give out tokens, report errors and hand out files. Official accounts and mini-programs
// (api.weixin.qq.com) and WeCom (qyapi.weixin.qq.com) use it alike.
//
// The encryption is that of WXBizMsgCrypt
// (https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/Technical_Plan.html,
// https://developer.work.weixin.qq.com/document/path/90968). It is written out here on Go's own crypto: the libraries at hand
// bring frameworks along, and leave lengths, padding and the receiver's id unchecked in one place or another.
package wechat

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the platforms sign by it
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrForeign is what Decrypt's error wraps where a message was well encrypted but is meant for somebody else. It is not authentic.
var ErrForeign = errors.New("wechat: it is encrypted for another receiver")

const (
	keyLetters  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	keyLength   = 43
	randomSize  = 16
	headSize    = randomSize + 4 // and the length of the message
	paddingSize = 32             // the block of the padding, not the cipher's
)

// Signature is the hexadecimal SHA-1 of the parts, sorted and joined: of token, timestamp and nonce for a request that is not
// encrypted; of these and the encrypted text for one that is.
func Signature(parts ...string) string {
	parts = slices.Clone(parts)
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // the platforms sign by it
	return hex.EncodeToString(sum[:])
}

// Signed tells in constant time whether a signature is that of the parts. Parts that are empty sign nothing.
func Signed(signature string, parts ...string) bool {
	if slices.Contains(parts, "") {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(signature), []byte(Signature(parts...))) == 1
}

// Crypto encrypts and decrypts the messages of one receiver: an account, or a company. It is safe for concurrent use.
type Crypto struct {
	receiver string
	keys     [][]byte
}

// NewCrypto takes the id of the receiver, which is the app id or the corp id, and the EncodingAESKey: 43 letters and digits. During
// a change of the key give the new one first and the old one behind it.
func NewCrypto(receiver string, encodingAESKeys ...string) (*Crypto, error) {
	if receiver == "" {
		return nil, errors.New("wechat: the id of the receiver is missing")
	}
	if len(encodingAESKeys) == 0 {
		return nil, errors.New("wechat: the EncodingAESKey is missing")
	}
	c := &Crypto{receiver: receiver}
	for _, text := range encodingAESKeys {
		if len(text) != keyLength || strings.Trim(text, keyLetters) != "" {
			return nil, errors.New("wechat: an EncodingAESKey is 43 letters and digits")
		}
		key, err := base64.StdEncoding.DecodeString(text + "=") // the last letter has two bits too many, whatever they are
		if err != nil {
			return nil, errors.New("wechat: an EncodingAESKey is not base64")
		}
		c.keys = append(c.keys, key)
	}
	return c, nil
}

// Decrypt gives the message of an encrypted text. Check its signature first. The error wraps ErrForeign where the message is for another
// receiver, and is another one where the text cannot be decrypted by any of the keys.
func (c *Crypto) Decrypt(encrypted string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(encrypted)
	switch {
	case err != nil:
		return nil, errors.New("wechat: the encrypted text is not base64")
	case len(sealed) == 0 || len(sealed)%paddingSize != 0:
		return nil, fmt.Errorf("wechat: the encrypted text has %d bytes, which is no multiple of %d", len(sealed), paddingSize)
	}
	var errs []error
	for _, key := range c.keys {
		message, err := c.open(key, sealed)
		if err == nil {
			return message, nil
		}
		errs = append(errs, err)
	}
	if i := slices.IndexFunc(errs, func(err error) bool { return errors.Is(err, ErrForeign) }); i >= 0 {
		return nil, errs[i]
	}
	return nil, errs[0]
}

func (c *Crypto) open(key, sealed []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("wechat: %w", err)
	}
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, key[:aes.BlockSize]).CryptBlocks(plain, sealed)
	plain, err = unpad(plain)
	if err != nil {
		return nil, err
	}
	if len(plain) < headSize {
		return nil, errors.New("wechat: what was decrypted is too short: is it the right EncodingAESKey?")
	}
	length, rest := binary.BigEndian.Uint32(plain[randomSize:headSize]), plain[headSize:]
	if uint64(length) > uint64(len(rest)) {
		return nil, errors.New("wechat: what was decrypted states a wrong length: is it the right EncodingAESKey?")
	}
	message, receiver := rest[:length:length], rest[length:]
	if subtle.ConstantTimeCompare(receiver, []byte(c.receiver)) != 1 {
		return nil, ErrForeign
	}
	return message, nil
}

// unpad takes the padding away: 1 to 32 bytes, each of which says how many they are.
func unpad(plain []byte) ([]byte, error) {
	n := plain[len(plain)-1]
	if n < 1 || n > paddingSize || !bytes.Equal(plain[len(plain)-int(n):], bytes.Repeat([]byte{n}, int(n))) {
		return nil, errors.New("wechat: what was decrypted is not padded: is it the right EncodingAESKey?")
	}
	return plain[:len(plain)-int(n)], nil
}

// Encrypt encrypts a message by the first of the keys, as an answer to the platform, or as the platform does in a test.
func (c *Crypto) Encrypt(message []byte) (string, error) {
	random := make([]byte, randomSize)
	_, _ = rand.Read(random) // it never fails
	return c.seal(random, message)
}

func (c *Crypto) seal(random, message []byte) (string, error) {
	if uint64(len(message)) > 1<<31 {
		return "", errors.New("wechat: the message is too long to be encrypted")
	}
	plain := slices.Clone(random)
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(message)))
	plain = append(append(plain, message...), c.receiver...)
	n := paddingSize - len(plain)%paddingSize
	plain = append(plain, bytes.Repeat([]byte{byte(n)}, n)...)
	block, err := aes.NewCipher(c.keys[0])
	if err != nil {
		return "", fmt.Errorf("wechat: %w", err)
	}
	cipher.NewCBCEncrypter(block, c.keys[0][:aes.BlockSize]).CryptBlocks(plain, plain)
	return base64.StdEncoding.EncodeToString(plain), nil
}
