package event_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
)

// writeKeyring writes a keyring of some versions, the secret of version n being 32 times the byte n.
func writeKeyring(t *testing.T, current int, versions ...int) string {
	t.Helper()
	keys := make([]string, len(versions))
	for i, v := range versions {
		secret := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(v)}, 32))
		keys[i] = fmt.Sprintf(`{"version":%d,"secret":%q}`, v, secret)
	}
	return writeFile(t, fmt.Sprintf(`{"current":%d,"keys":[%s]}`, current, strings.Join(keys, ",")))
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyring.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string) *event.Keyring {
	t.Helper()
	k, err := event.LoadKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestACreatedKeyringIsPrivateAndLoadsAsTheSame(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keyring.json")
	created, err := event.CreateKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	loaded := load(t, path)
	if created.Fingerprint() != loaded.Fingerprint() || created.Tenant("a").Thread("i", "n") != loaded.Tenant("a").Thread("i", "n") {
		t.Error("the loaded keyring makes other ids")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestCreatingNeverReplacesAKeyring(t *testing.T) {
	path := writeKeyring(t, 1, 1)
	before := load(t, path)
	if _, err := event.CreateKeyring(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want %v", err, fs.ErrExist)
	}
	if load(t, path).Fingerprint() != before.Fingerprint() {
		t.Error("the keyring was replaced")
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestOfManyWhoCreateAKeyringOneWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyring.json")
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins []*event.Keyring
	)
	for range 8 {
		wg.Go(func() {
			if k, err := event.CreateKeyring(path); err == nil {
				mu.Lock()
				wins = append(wins, k)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(wins) != 1 || wins[0].Fingerprint() != load(t, path).Fingerprint() {
		t.Errorf("%d of them created it", len(wins))
	}
}

func TestAKeyringThatCannotBeUsedSaysWhatToDo(t *testing.T) {
	open := writeKeyring(t, 1, 1)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	short := base64.StdEncoding.EncodeToString(make([]byte, 16))
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "none.json"): "backup",
		open:                                    "chmod 600",
		writeKeyring(t, 2, 1):                   "current version 2",
		writeKeyring(t, 1, 1, 1):                "twice",
		writeKeyring(t, 1):                      "no keys",
		writeKeyring(t, 0, 0):                   "1 to 127",
		writeKeyring(t, 128, 128):               "1 to 127",
		writeFile(t, ""):                        "damaged",
		writeFile(t, "{}"):                      "no keys",
		writeFile(t, `{"current":1,"keys":[{"version":1,"secret":"`+short+`"}]}`):     "16 bytes",
		writeFile(t, `{"current":1,"keys":[{"version":1,"secret":"`+short[:5]+`"}]}`): "damaged",
		writeFile(t, `{"current":1,"keys":[],"later":1}`):                             "damaged",
		writeFile(t, `{"current":1,"keys":[]}{}`):                                     "damaged",
	} {
		_, err := event.LoadKeyring(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something about %q", err, want)
		}
	}
	if _, err := event.LoadKeyring(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	if _, err := event.CreateKeyring(filepath.Join(t.TempDir(), "no", "folder")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	if _, err := event.NewKeyring(bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("a key was made of too little randomness")
	}
}

func TestReadsTryEveryKeyAndWritesTakeTheCurrentOne(t *testing.T) {
	k := load(t, writeKeyring(t, 2, 1, 3, 2))
	var versions []int
	for _, ids := range k.TenantAll("acme") {
		versions = append(versions, ids.KeyVersion())
	}
	if fmt.Sprint(versions) != "[2 3 1]" || k.Tenant("acme").KeyVersion() != 2 {
		t.Errorf("versions %v, current %d", versions, k.Tenant("acme").KeyVersion())
	}
	old := load(t, writeKeyring(t, 1, 1))
	if k.TenantAll("acme")[2].Thread("i", "n") != old.Tenant("acme").Thread("i", "n") {
		t.Error("an old key makes other ids since there is a new one")
	}
}

func TestTheFingerprintStaysWhenAKeyIsAddedAndTellsKeyringsApart(t *testing.T) {
	first := load(t, writeKeyring(t, 1, 1)).Fingerprint()
	if got := load(t, writeKeyring(t, 2, 1, 2)).Fingerprint(); got != first {
		t.Errorf("after a second key: %s, before: %s", got, first)
	}
	if got := load(t, writeKeyring(t, 2, 2)).Fingerprint(); got == first {
		t.Error("another keyring has the same fingerprint")
	}
	if got := fixedKeyring(t).Fingerprint(); got != "7eb327e94050d5af" {
		t.Errorf("got %s", got)
	}
}

func TestAPrintedKeyringShowsNoSecret(t *testing.T) {
	k := load(t, writeKeyring(t, 1, 1))
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, k); got != "keyring "+k.Fingerprint() {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestATenantsKeyIsHKDFOfTheSecret(t *testing.T) {
	k := fixedKeyring(t)
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "skein tenant acme", 32)
	if err != nil {
		t.Fatal(err)
	}
	m := hmac.New(sha256.New, key)
	m.Write([]byte("\x06digestdata"))
	if !bytes.Equal(k.Tenant("acme").Digest([]byte("data")), m.Sum(nil)[:event.DigestSize]) {
		t.Error("the key is another one")
	}
}

func TestTwoNewKeyringsDiffer(t *testing.T) {
	a, err := event.NewKeyring(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := event.NewKeyring(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if a.Fingerprint() == b.Fingerprint() {
		t.Error("they are the same")
	}
}

func TestSecretsOfPurposesDifferAndStayWhenAKeyIsAdded(t *testing.T) {
	k, err := event.NewKeyring(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
	if err != nil {
		t.Fatal(err)
	}
	chat, err := k.Secret("chat")
	if err != nil {
		t.Fatal(err)
	}
	other, err := k.Secret("other")
	if err != nil || len(chat) != 32 || bytes.Equal(chat, other) {
		t.Errorf("%x and %x, %v", chat, other, err)
	}
	if again, err := k.Secret("chat"); err != nil || !bytes.Equal(chat, again) {
		t.Errorf("%x, then %x, %v", chat, again, err)
	}
}
