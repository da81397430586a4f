package wordpiece

import (
	"encoding/json"
	"fmt"
	"strings"
)

// postProcessor is the part of tokenizer.json that frames a sequence.
type postProcessor struct {
	Type   string          `json:"type"`
	SEP    json.RawMessage `json:"sep"` // BertProcessing: [content, id]
	CLS    json.RawMessage `json:"cls"`
	Single []templateItem  `json:"single"` // TemplateProcessing
	Pair   []templateItem  `json:"pair"`
}

// templateItem is one place of a template: a special token or a sequence.
type templateItem struct {
	Special  *templatePart `json:"SpecialToken"`
	Sequence *templatePart `json:"Sequence"`
}

type templatePart struct {
	ID   string `json:"id"`
	Type int    `json:"type_id"`
}

// String writes an item as `name:type`.
func (i templateItem) String() string {
	switch {
	case i.Special != nil:
		return fmt.Sprintf("%s:%d", i.Special.ID, i.Special.Type)
	case i.Sequence != nil:
		return fmt.Sprintf("$%s:%d", i.Sequence.ID, i.Sequence.Type)
	}
	return "?"
}

// frame sets the names of the first and last token, or says that the frame is
// not BERT's.
func (p *postProcessor) frame(opt *Options) error {
	if p == nil {
		return nil
	}
	switch p.Type {
	case "BertProcessing":
		for _, part := range []struct {
			raw  json.RawMessage
			name *string
		}{{p.CLS, &opt.CLS}, {p.SEP, &opt.SEP}} {
			pair := []any{}
			if err := json.Unmarshal(part.raw, &pair); err != nil || len(pair) != 2 {
				return fmt.Errorf("post_processor: cls and sep are [content, id], got %s", part.raw)
			}
			*part.name, _ = pair[0].(string)
		}
		return nil
	case "TemplateProcessing":
		if len(p.Single) == 3 && p.Single[0].Special != nil && p.Single[2].Special != nil {
			cls, sep := p.Single[0].Special.ID, p.Single[2].Special.ID
			single := fmt.Sprintf("%s:0 $A:0 %s:0", cls, sep)
			if join(p.Single) == single && join(p.Pair) == single+fmt.Sprintf(" $B:1 %s:1", sep) {
				opt.CLS, opt.SEP = cls, sep
				return nil
			}
		}
		return fmt.Errorf("post_processor: the template is not BERT's [CLS] a [SEP] b [SEP] but %q and %q", join(p.Single), join(p.Pair))
	}
	return fmt.Errorf("post_processor %q is not supported, only BertProcessing and TemplateProcessing", p.Type)
}

func join(items []templateItem) string {
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = item.String()
	}
	return strings.Join(parts, " ")
}
