package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/nurturehq/nurture/pkg/access"
	accessv1 "github.com/nurturehq/nurture/proto/nurture/access/v1"
)

// door lets calls into a server: it knows who calls and what each call needs.
type door struct {
	access *Access
	log    *slog.Logger
	needs  map[string]access.Role
	who    func(context.Context) (caller, error)
}

// needsOf reads what the calls of a server need from the proto files. A method
// that does not say is an error.
func needsOf(srv *grpc.Server) (map[string]access.Role, error) {
	needs := map[string]access.Role{}
	for service, info := range srv.GetServiceInfo() {
		if strings.HasPrefix(service, "grpc.") {
			continue
		}
		for _, m := range info.Methods {
			role, err := needOf(service + "." + m.Name)
			if err != nil {
				return nil, err
			}
			needs["/"+service+"/"+m.Name] = role
		}
	}
	return needs, nil
}

func needOf(method string) (access.Role, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(method))
	if err != nil {
		return 0, fmt.Errorf("find method %s: %w", method, err)
	}
	role, _ := proto.GetExtension(found.Options(), accessv1.E_Needs).(accessv1.Role)
	if role == accessv1.Role_ROLE_UNSPECIFIED {
		return 0, fmt.Errorf("method %s does not say who may call it: give it option (nurture.access.v1.needs)", method)
	}
	return role, nil
}

// need is what a call needs. Health is everybody's; what is not known is an
// administrator's.
func (d *door) need(method string) (role access.Role, public bool) {
	switch {
	case strings.HasPrefix(method, "/grpc.health."):
		return 0, true
	case strings.HasPrefix(method, "/grpc.reflection."):
		return access.Read, false
	}
	if role, ok := d.needs[method]; ok {
		return role, false
	}
	return access.Admin, false
}

// admit says who calls, or why the call is refused.
func (d *door) admit(ctx context.Context, method string) (caller, error) {
	need, public := d.need(method)
	if public {
		return caller{}, nil
	}
	c, err := d.who(ctx)
	if err != nil {
		return c, err
	}
	if !access.Allows(c.roles, need) {
		d.log.WarnContext(ctx, "access refused", "caller", c.name, "method", method[strings.LastIndex(method, "/")+1:], "role", access.NameOf(need))
		return c, d.access.forbid(ctx, c, need, method)
	}
	return c, nil
}

func (d *door) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	c, err := d.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	resp, err := handle(context.WithValue(ctx, callerKey{}, c), req)
	d.note(ctx, c, info.FullMethod, req, err)
	return resp, err
}

func (d *door) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	c, err := d.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	err = handle(srv, stream)
	d.note(stream.Context(), c, info.FullMethod, nil, err)
	return err
}

// note writes down who did what: calls that show people, and calls that change
// what only staff may. What services ask of each other is a detail, except what
// needs an administrator.
func (d *door) note(ctx context.Context, c caller, method string, req any, err error) {
	need, public := d.need(method)
	if public || need == access.Read || need == access.Send {
		return
	}
	level := slog.LevelInfo
	if need != access.Admin && c.kind != byToken {
		level = slog.LevelDebug
	}
	if !d.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("caller", c.name), slog.String("by", c.kind), slog.String("method", method[strings.LastIndex(method, "/")+1:]),
		slog.String("role", access.NameOf(need)), slog.String("result", codeName(codeOf(err))),
	}
	d.log.LogAttrs(ctx, level, "access", append(attrs, subject(req)...)...)
}

func codeOf(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	return Status(err).Code()
}

// subject says whom a request is about, by ids alone: whatever does not look
// like one may be anything that somebody typed.
func subject(req any) []slog.Attr {
	msg, ok := req.(proto.Message)
	if !ok {
		return nil
	}
	var attrs []slog.Attr
	fields := msg.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		value := msg.ProtoReflect().Get(f)
		switch {
		case !slices.Contains(idFields(), string(f.Name())):
		case f.Kind() == protoreflect.Uint64Kind:
			attrs = append(attrs, slog.Uint64(string(f.Name()), value.Uint()))
		case f.Kind() != protoreflect.StringKind:
		case f.IsList():
			attrs = append(attrs, slog.Int(string(f.Name()), value.List().Len()))
		case value.String() == "":
		case looksLikeID(value.String()):
			attrs = append(attrs, slog.String(string(f.Name()), value.String()))
		default:
			attrs = append(attrs, slog.String(string(f.Name()), "(not an id)"))
		}
	}
	return attrs
}

func idFields() []string {
	return []string{"lead_id", "lead_ids", "from_lead_id", "into_lead_id", "other_lead_id", "reject_id", "touch_id", "delivery_id"}
}

func looksLikeID(text string) bool {
	return regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`).MatchString(text)
}
