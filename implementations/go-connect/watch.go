package main

import (
	"context"
	"sync"
)

// watches remembers the tokens of the marked RPCs that ended because the client went away.
type watches struct {
	gone sync.Map
}

// watch is one RPC and the tokens with which it was marked.
type watch struct {
	tokens []string
}

func (w *watch) mark(token string) {
	w.tokens = append(w.tokens, token)
}

// end is called when the handler returns. Until then only the client ends the context: by a cancel, a reset, a
// disconnect, or the deadline that it set.
func (w *watches) end(ctx context.Context, watch *watch) {
	if ctx.Err() == nil {
		return
	}
	for _, token := range watch.tokens {
		w.gone.Store(token, nil)
	}
}

// saw answers !cancelled TOKEN.
func (w *watches) saw(token string) int32 {
	if _, gone := w.gone.Load(token); gone {
		return 1
	}
	return 0
}
