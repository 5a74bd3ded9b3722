package wechat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
)

// CorpURL is the API of WeCom, which WeChat customer service uses as well.
const CorpURL = "https://qyapi.weixin.qq.com"

// CorpReason says in words what an errcode of WeCom's API means that an operator can do something about, and what WeCom itself says of the others
// (https://developer.work.weixin.qq.com/document/path/90313).
func CorpReason(e *Error) string {
	switch e.Code {
	case CodeBadToken:
		return "the secret is not the application's"
	case 40003, 40031:
		return "there is no such member"
	case CodeMediaID:
		return "the file is not there any more: WeCom keeps files for three days"
	case 40013:
		return "the corp id is wrong"
	case 40096:
		return "there is no such external contact, or the application may not see them"
	case 48002:
		return "the application may not use this part of the API"
	case 60011:
		return "the application may not see the member"
	case 60020:
		return "calls from this address are not allowed: add it to the trusted addresses of the application"
	case 60111:
		return "there is no such member"
	case 81013:
		return "there is no such member, or the application may not see them"
	case 84061:
		return "the customer and the company do not know each other any more"
	case 301002:
		return "the secret belongs to another application than the agent id"
	case 95000, 95004:
		return "there is no such customer service account"
	case 95001:
		return "more than 5 messages since the customer last wrote: wait until the customer writes again"
	case 95002:
		return "more than 48 hours since the customer last wrote: wait until the customer writes again"
	case 95003:
		return "the company is not verified, and has as many customers as it may"
	case 95011, 95012:
		return "the secret is not the one that WeChat customer service wants: it is run within WeCom, or by itself"
	case 95013:
		return "the session has ended"
	case 95014:
		return "the member is no servicer"
	case 95016:
		return "the session cannot go from its state to the one asked for"
	case 95017:
		return "the API of WeChat customer service is switched off for this application"
	case 95018:
		return "the state of the session does not allow it: a servicer has it, or waits for it, or it is older than 48 hours"
	case 95019:
		return "the servicer does not take customers at present"
	}
	return e.Message
}

// corpLater are errcodes of WeCom's API, beside those of all platforms, after which another try may help: other callers changed the same,
// too many calls at once, maintenance.
func corpLater(code int) bool { return slices.Contains([]int{6000, 45033, 81026}, code) }

// CorpSendError tells an error of a call to WeCom's API as a channel.Sender does: a *Error becomes a *channel.RefusedError in words, or
// channel.ErrRetry where another try may help, for an API that answers an errcode has not sent anything. Other errors stay.
func CorpSendError(err error) error {
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return err
	case e.Temporary(), corpLater(e.Code):
		return e.Later()
	}
	return &channel.RefusedError{Code: strconv.Itoa(e.Code), Reason: CorpReason(e)}
}

// CorpMedia fetches a file that WeCom keeps, for three days, as a channel.Fetcher does
// (https://developer.work.weixin.qq.com/document/path/90254).
func (a *API) CorpMedia(ctx context.Context, mediaID string, maxBytes int64) (*channel.FetchedFile, error) {
	file, err := a.Media(ctx, "/cgi-bin/media/get", url.Values{"media_id": {mediaID}}, maxBytes)
	e, ok := errors.AsType[*Error](err)
	switch {
	case !ok:
		return file, err
	case slices.Contains([]int{40004, 40005, CodeMediaID, 40035, 40058, 41006, 46001}, e.Code):
		return nil, &channel.RefusedError{Code: strconv.Itoa(e.Code), Reason: CorpReason(e)}
	}
	return nil, e.Later() // whoever configured it can mend it within the three days
}

// The kinds of files that WeCom tells apart, and how large they may be
// (https://developer.work.weixin.qq.com/document/path/90253).
const (
	corpImage    = 10 << 20
	corpVoice    = 2 << 20
	corpVideo    = 10 << 20
	corpFile     = 20 << 20
	corpSmallest = 5
)

// corpKind is the kind that a file is sent as: what is too large for its own is sent as any file.
func corpKind(mediaType, name string, size int) string {
	extension := strings.ToLower(path.Ext(name))
	switch {
	case size <= corpImage && (mediaType == "image/jpeg" || mediaType == "image/png"):
		return "image"
	case size <= corpVoice && (mediaType == "audio/amr" || mediaType == "" && extension == ".amr"):
		return "voice"
	case size <= corpVideo && mediaType == "video/mp4":
		return "video"
	}
	return "file"
}

// CorpUpload hands a file to WeCom, which keeps it for three days, and says as what it is to be sent: image, voice, video or file. Its errors are those of a
// channel.Sender; nothing was sent yet.
func (a *API) CorpUpload(ctx context.Context, f channel.OutgoingFile) (kind, mediaID string, err error) {
	body, err := f.Open(ctx)
	if err != nil {
		return "", "", err
	}
	data, err := io.ReadAll(io.LimitReader(body, corpFile+1))
	if err = errors.Join(err, body.Close()); err != nil {
		return "", "", fmt.Errorf("wechat: read a file: %w: %w", channel.ErrRetry, err)
	}
	switch {
	case len(data) > corpFile:
		return "", "", &channel.RefusedError{Code: "too_large", Reason: fmt.Sprintf("the file is larger than %d MiB", corpFile>>20)}
	case len(data) <= corpSmallest:
		return "", "", &channel.RefusedError{Code: "too_small", Reason: fmt.Sprintf("the file has no more than %d bytes, which WeCom does not take", corpSmallest)}
	}
	mediaType := cmp.Or(f.GetBlob().GetMediaType(), f.GetMediaType())
	name := path.Base(strings.ReplaceAll(cmp.Or(f.GetName(), "file"), `\`, "/"))
	kind = corpKind(mediaType, name, len(data))
	if path.Ext(name) == "" { // WeCom looks at it
		name += map[string]string{"image/jpeg": ".jpg", "image/png": ".png", "audio/amr": ".amr", "video/mp4": ".mp4", "application/pdf": ".pdf"}[mediaType]
	}
	var answer struct {
		MediaID string `json:"media_id"`
	}
	err = a.Upload(ctx, "/cgi-bin/media/upload", url.Values{"type": {kind}}, name, cmp.Or(mediaType, "application/octet-stream"), data, &answer)
	switch {
	case err != nil:
		return "", "", CorpSendError(Harmless(err))
	case answer.MediaID == "":
		return "", "", fmt.Errorf("wechat: upload: %w: the API answers no media_id", channel.ErrRetry)
	}
	return kind, answer.MediaID, nil
}

// Lines joins the parts of a message that there are, each on a line of its own.
func Lines(parts ...string) string {
	var some []string
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, "\n")
}
