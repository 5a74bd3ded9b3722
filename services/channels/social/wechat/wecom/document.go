package wecom

import (
	"encoding/xml"
	"strings"

	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// document is an XML element with what is in it.
type document struct {
	XMLName xml.Name
	Text    string     `xml:",chardata"`
	Inside  []document `xml:",any"`
}

func parse(raw []byte) (*document, error) {
	d := &document{}
	if err := wechat.DecodeXML(raw, d); err != nil {
		return nil, err
	}
	return d, nil
}

// at finds the first element on a path; nil where there is none.
func (d *document) at(path ...string) *document {
	for _, name := range path {
		if d == nil {
			return nil
		}
		i := 0
		for i < len(d.Inside) && d.Inside[i].XMLName.Local != name {
			i++
		}
		if i == len(d.Inside) {
			return nil
		}
		d = &d.Inside[i]
	}
	return d
}

// get gives the text of the first element on a path, without the space around it; empty where there is none.
func (d *document) get(path ...string) string {
	if found := d.at(path...); found != nil {
		return strings.TrimSpace(found.Text)
	}
	return ""
}

// all are the elements of a name that are in the first element on a path.
func (d *document) all(name string, path ...string) []document {
	var some []document
	if within := d.at(path...); within != nil {
		for _, e := range within.Inside {
			if e.XMLName.Local == name {
				some = append(some, e)
			}
		}
	}
	return some
}
