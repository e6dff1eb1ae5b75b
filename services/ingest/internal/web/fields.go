package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"

	"github.com/nurturehq/nurture/services/ingest/internal/form"
	"github.com/nurturehq/nurture/services/ingest/internal/loose"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// maxFields bounds the fields of a form.
const maxFields = 200

// parseForm reads the fields of a body in any of the three encodings.
func parseForm(media, contentType string, body []byte) (form.Values, error) {
	var values form.Values
	var err error
	switch {
	case media == "multipart/form-data":
		values, err = parseMultipart(contentType, body)
	case media == "application/json" || bytes.HasPrefix(loose.Clean(body), []byte("{")):
		values, err = parseJSON(body)
	default:
		var parsed url.Values
		parsed, err = url.ParseQuery(string(body))
		values = form.Values(parsed)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("the form cannot be read: %w", err)
	case len(values) == 0:
		return nil, errors.New("the form is empty; expected fields like email=jo@example.com")
	case len(values) > maxFields:
		return nil, fmt.Errorf("the form has more than %d fields", maxFields)
	}
	return values, nil
}

// parseMultipart reads the fields of a multipart form; files are left out.
func parseMultipart(contentType string, body []byte) (form.Values, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("content type: %w", err)
	}
	values := form.Values{}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		if part.FileName() != "" || part.FormName() == "" {
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		values[part.FormName()] = append(values[part.FormName()], string(value))
	}
}

// parseJSON reads an object of plain values and lists of them.
func parseJSON(body []byte) (form.Values, error) {
	body = loose.Clean(body)
	if err := loose.Shallow(body); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, fmt.Errorf("expected a JSON object: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the JSON object")
	}
	values := form.Values{}
	var faults []normal.Fault
	for name, v := range object {
		texts, ok := texts(v)
		if !ok {
			faults = append(faults, normal.Fault{Field: name, Message: "is an object; expected a plain value or a list of them"})
		}
		values[name] = texts
	}
	return values, invalid(faults)
}

func texts(v any) ([]string, bool) {
	switch x := v.(type) {
	case nil:
		return nil, true
	case string:
		return []string{x}, true
	case json.Number:
		return []string{x.String()}, true
	case bool:
		return []string{strconv.FormatBool(x)}, true
	case []any:
		var list []string
		for _, item := range x {
			t, ok := texts(item)
			if !ok {
				return nil, false
			}
			list = append(list, t...)
		}
		return list, true
	}
	return nil, false
}
