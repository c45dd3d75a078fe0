package main

import (
	"io"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"grpcstream/proto"
)

const (
	listResponses = 7
	recordName    = "gRPC Stream Server: Record"
	routeName     = "gRPC Stream Server: Route"
)

// streamService is the whole contract: the core and every directive.
type streamService struct {
	proto.UnimplementedStreamServiceServer
	watches watches
}

// List answers one request with responses that count up from its value; int32 addition wraps as the contract requires.
func (s *streamService) List(request *proto.StreamRequest, stream proto.StreamService_ListServer) error {
	ctx, watch := stream.Context(), &watch{}
	defer s.watches.end(ctx, watch)
	point, err := pointOf(request)
	if err != nil {
		return err
	}
	first, count, end := point.GetValue(), int32(listResponses), error(nil)
	switch directive := directiveOf(point); directive.word {
	case "!abort":
		first = 0
		count, end = directive.abort(point)
	case "!finish":
		count = 0
	case "!repeat":
		if count, _, err = directive.number(); err != nil {
			return err
		}
	case "!sleep":
		if err := directive.sleep(ctx); err != nil {
			return err
		}
	case "!watch":
		watch.mark(directive.rest)
		if err := stream.SendHeader(metadata.MD{}); err != nil {
			return err
		}
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	case "!cancelled":
		first, count = s.watches.saw(directive.rest), 1
	}
	for k := range count {
		if err := stream.Send(response(point.GetName(), first+k)); err != nil {
			return err
		}
	}
	return end
}

// Record reads requests up to the half-close and answers once.
func (s *streamService) Record(stream proto.StreamService_RecordServer) error {
	ctx, watch := stream.Context(), &watch{}
	defer s.watches.end(ctx, watch)
	received, texts, echo := int32(0), []string(nil), false
	answer := func() error {
		if echo {
			return stream.SendAndClose(response(strings.Join(texts, ","), received))
		}
		return stream.SendAndClose(response(recordName, 1))
	}
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return answer()
		}
		if err != nil {
			return err
		}
		point, err := pointOf(request)
		if err != nil {
			return err
		}
		received++
		switch directive := directiveOf(point); directive.word {
		case "!abort":
			_, aborted := directive.abort(point)
			return aborted
		case "!finish":
			return answer()
		case "!echo":
			echo = true
			texts = append(texts, directive.rest)
		case "!sleep":
			if err := directive.sleep(ctx); err != nil {
				return err
			}
		case "!watch":
			watch.mark(directive.rest)
		default:
			texts = append(texts, point.GetName())
		}
	}
}

// Route answers each request as soon as it has read it, and counts its responses.
func (s *streamService) Route(stream proto.StreamService_RouteServer) error {
	ctx, watch := stream.Context(), &watch{}
	defer s.watches.end(ctx, watch)
	sent := int32(0)
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		point, err := pointOf(request)
		if err != nil {
			return err
		}
		name, first, count := routeName, sent, int32(1)
		switch directive := directiveOf(point); directive.word {
		case "!abort":
			_, aborted := directive.abort(point)
			return aborted
		case "!finish":
			return nil
		case "!repeat":
			name, first = point.GetName(), point.GetValue()
			if count, _, err = directive.number(); err != nil {
				return err
			}
		case "!echo":
			name, first = point.GetName(), point.GetValue()
		case "!sleep":
			if err := directive.sleep(ctx); err != nil {
				return err
			}
		case "!watch":
			watch.mark(directive.rest)
		}
		for k := range count {
			if err := stream.Send(response(name, first+k)); err != nil {
				return err
			}
			sent++
		}
	}
}
