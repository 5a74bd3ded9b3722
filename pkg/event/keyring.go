package event

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const (
	secretSize     = 32
	maxKeyringFile = 1 << 20
	maxKeyVersion  = 127 // the highest bit of an id's first byte tells customers from endpoints
)

// Keyring holds the secrets that every id and digest is made with. It belongs to the data: without it, no address can be
// found again. It is safe for concurrent use.
//
// A key is never taken out or changed. A new one becomes the current one; ids made under older ones stay, so a read
// tries every version.
type Keyring struct {
	keys        []key // the current one first, then from the newest to the oldest
	fingerprint string
	tenants     sync.Map // name → []*IDs
}

// key is one version of the secret, as the pseudo-random key of HKDF.
type key struct {
	version byte
	prk     []byte
	secret  []byte
}

// keyringFile is the keyring's file.
type keyringFile struct {
	Current int       `json:"current"`
	Keys    []fileKey `json:"keys"`
}

type fileKey struct {
	Version int    `json:"version"`
	Secret  []byte `json:"secret"` // base64 in the file
}

// NewKeyring makes a keyring of one new key from a source of secret randomness.
func NewKeyring(random io.Reader) (*Keyring, error) {
	secret := make([]byte, secretSize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("event: make a key: %w", err)
	}
	k, err := newKeyring(keyringFile{Current: 1, Keys: []fileKey{{Version: 1, Secret: secret}}})
	if err != nil {
		return nil, fmt.Errorf("event: make a key: %w", err)
	}
	return k, nil
}

// LoadKeyring reads a keyring from its file. The error says what to do; where there is no file, it is fs.ErrNotExist.
func LoadKeyring(path string) (*Keyring, error) {
	f, err := os.Open(path) //nolint:gosec // the operator says which file
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("event: load the keyring: %w. Restore it from its backup: events taken in under it "+
			"cannot be found without it. Only for an empty log may a new one be made", err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("event: load the keyring: %w. Make the file readable for the user that runs Skein, and "+
			"for nobody else", err)
	case err != nil:
		return nil, fmt.Errorf("event: load the keyring: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("event: load the keyring: %w", err)
	}
	if info.Mode().Perm()&0o027 != 0 {
		return nil, fmt.Errorf("event: load the keyring: %s is open to others (mode %04o). Run: chmod 600 %s",
			path, info.Mode().Perm(), path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyringFile))
	if err != nil {
		return nil, fmt.Errorf("event: load the keyring: %w", err)
	}
	k, err := parseKeyring(data)
	if err != nil {
		return nil, fmt.Errorf("event: load the keyring: %s is damaged: %w. Restore it from its backup", path, err)
	}
	return k, nil
}

// CreateKeyring makes a keyring of one new key and writes it to a new file, readable for its owner only. The file
// appears complete and durable or not at all. Where there is one already, it stays, and the error is fs.ErrExist.
func CreateKeyring(path string) (*Keyring, error) {
	k, err := NewKeyring(rand.Reader)
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(k.file(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("event: create the keyring: %w", err)
	}
	if err := writeNew(path, append(data, '\n')); err != nil {
		return nil, fmt.Errorf("event: create the keyring: %w", err)
	}
	return k, nil
}

// writeNew writes a file beside the path and then links it there, which fails where something stands already.
func writeNew(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keyring-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir) //nolint:gosec // the operator says which folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func parseKeyring(data []byte) (*Keyring, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var file keyringFile
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the keys")
	}
	return newKeyring(file)
}

func newKeyring(file keyringFile) (*Keyring, error) {
	if len(file.Keys) == 0 {
		return nil, errors.New("it holds no keys")
	}
	k := &Keyring{}
	for _, f := range file.Keys {
		if f.Version < 1 || f.Version > maxKeyVersion {
			return nil, fmt.Errorf("version %d is not in 1 to %d", f.Version, maxKeyVersion)
		}
		if len(f.Secret) != secretSize {
			return nil, fmt.Errorf("the secret of version %d has %d bytes, not %d", f.Version, len(f.Secret), secretSize)
		}
		prk, err := hkdf.Extract(sha256.New, f.Secret, nil)
		if err != nil {
			return nil, err
		}
		k.keys = append(k.keys, key{byte(f.Version), prk, f.Secret})
	}
	slices.SortFunc(k.keys, func(a, b key) int { return int(b.version) - int(a.version) })
	for i := range k.keys[1:] {
		if k.keys[i].version == k.keys[i+1].version {
			return nil, fmt.Errorf("version %d is there twice", k.keys[i].version)
		}
	}
	at := slices.IndexFunc(k.keys, func(x key) bool { return int(x.version) == file.Current })
	if at < 0 {
		return nil, fmt.Errorf("the current version %d is not among the keys", file.Current)
	}
	k.fingerprint = hex.EncodeToString(k.keys[len(k.keys)-1].derive("skein fingerprint")[:8])
	current := k.keys[at]
	k.keys = slices.Insert(slices.Delete(k.keys, at, at+1), 0, current)
	return k, nil
}

func (k *Keyring) file() keyringFile {
	file := keyringFile{Current: int(k.keys[0].version)}
	for _, x := range k.keys {
		file.Keys = append(file.Keys, fileKey{int(x.version), x.secret})
	}
	return file
}

// derive is HKDF-Expand of RFC 5869 for one block of output, which cannot fail.
func (x key) derive(info string) []byte {
	m := hmac.New(sha256.New, x.prk)
	m.Write([]byte(info))
	m.Write([]byte{1})
	return m.Sum(nil)
}

// Fingerprint names the keyring and reveals nothing of its secrets, so that data can remember which keyring they were
// written under. It is made of the oldest key and stays the same when keys are added.
func (k *Keyring) Fingerprint() string { return k.fingerprint }

// String names the keyring by its fingerprint, so that a log line never shows a secret.
func (k *Keyring) String() string { return "keyring " + k.fingerprint }

// GoString is String.
func (k *Keyring) GoString() string { return k.String() }

// Tenant makes ids under the current key of a tenant.
func (k *Keyring) Tenant(name string) *IDs { return k.TenantAll(name)[0] }

// TenantAll makes ids under every key of a tenant, the current one first: a read looks for an address under each of
// them. The slice is shared; do not change it.
func (k *Keyring) TenantAll(name string) []*IDs {
	if all, ok := k.tenants.Load(name); ok {
		return all.([]*IDs) //nolint:errcheck // nothing else is stored
	}
	all := make([]*IDs, len(k.keys))
	for i, x := range k.keys {
		all[i] = newIDs(x.version, x.derive("skein tenant "+name))
	}
	shared, _ := k.tenants.LoadOrStore(name, all)
	return shared.([]*IDs) //nolint:errcheck // nothing else is stored
}

// TenantAt makes ids under one version of a tenant's key; nil where there is no such version.
func (k *Keyring) TenantAt(name string, version int) *IDs {
	for _, ids := range k.TenantAll(name) {
		if ids.KeyVersion() == version {
			return ids
		}
	}
	return nil
}

// Secret derives 32 secret bytes for a purpose that has nothing to do with ids, such as signing tokens. They come from the
// oldest key, so they stay the same when a key is added. What is derived for one purpose tells nothing about another's.
func (k *Keyring) Secret(purpose string) ([]byte, error) {
	secret, err := hkdf.Expand(sha256.New, k.keys[len(k.keys)-1].prk, "purpose\x00"+purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("event: derive the secret of %s: %w", purpose, err)
	}
	return secret, nil
}
