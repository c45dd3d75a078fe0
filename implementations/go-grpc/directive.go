package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"grpcstream/proto"
)

// directive is a parsed name: "!word rest", where the rest may be "number text". The word of an ordinary name is one
// that no method knows.
type directive struct {
	word string
	rest string
}

func directiveOf(point *proto.StreamPoint) directive {
	word, rest, _ := strings.Cut(point.GetName(), " ")
	return directive{word, rest}
}

// number is the number at the start of the rest; text is everything after it.
func (d directive) number() (number int32, text string, err error) {
	first, text, _ := strings.Cut(d.rest, " ")
	parsed, err := strconv.ParseUint(first, 10, 31)
	if err != nil {
		return 0, "", status.Errorf(codes.InvalidArgument, "%s takes a number from 0 to 2147483647, not %.40q", d.word, first)
	}
	return int32(parsed), text, nil
}

// abort is what "!abort K TEXT" requests: K responses, then a status with the code in the point's value and the message
// TEXT. A malformed one yields no response and INVALID_ARGUMENT.
func (d directive) abort(point *proto.StreamPoint) (count int32, end error) {
	count, text, err := d.number()
	if err != nil {
		return 0, err
	}
	if code := point.GetValue(); code < 1 || code > 16 {
		return 0, status.Errorf(codes.InvalidArgument, "!abort takes a status code from 1 to 16, not %d", code)
	}
	return count, status.Error(codes.Code(point.GetValue()), text)
}

// sleep waits for the MS of "!sleep MS", but not longer than the RPC lasts.
func (d directive) sleep(ctx context.Context) error {
	milliseconds, _, err := d.number()
	if err != nil {
		return err
	}
	timer := time.NewTimer(time.Duration(milliseconds) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// pointOf returns the request's pt, or INVALID_ARGUMENT if it has none.
func pointOf(request *proto.StreamRequest) (*proto.StreamPoint, error) {
	if request.GetPt() == nil {
		return nil, status.Error(codes.InvalidArgument, "a request must have a pt")
	}
	return request.GetPt(), nil
}

func response(name string, value int32) *proto.StreamResponse {
	return &proto.StreamResponse{Pt: &proto.StreamPoint{Name: name, Value: value}}
}
