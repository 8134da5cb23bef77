package cli

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// scope is the mapping that a rule belongs into: the whole policy, or the entry
// of the agent with this manifest, which is added where there is none.
func scope(root *yaml.Node, manifest string) *yaml.Node {
	if manifest == "" {
		return root
	}
	agents := child(root, "agents")
	if agents == nil {
		agents = &yaml.Node{Kind: yaml.SequenceNode}
		root.Content = append(root.Content, text("agents"), agents)
	}
	agents.Style = 0
	for _, entry := range agents.Content {
		if m := child(entry, "manifest"); m != nil && m.Value == manifest {
			return entry
		}
	}
	entry := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("manifest"), text(manifest)}}
	agents.Content = append(agents.Content, entry)
	return entry
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// child is the value of a key of a mapping.
func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// mergeNode adds to the mapping dst what src says: lists grow, single values
// are replaced. All comments of dst stay. It tells whether anything changed.
func mergeNode(dst, src *yaml.Node) (changed bool, err error) {
	for i := 0; i+1 < len(src.Content); i += 2 {
		key, value := src.Content[i], src.Content[i+1]
		has := child(dst, key.Value)
		switch {
		case has == nil:
			unfold(value)
			dst.Style &^= yaml.FlowStyle
			dst.Content = append(dst.Content, key, value)
			changed = true
		case has.Tag == "!!null":
			kept := *has
			*has = *value
			unfold(has)
			changed = true
			has.HeadComment, has.LineComment, has.FootComment = kept.HeadComment, kept.LineComment, kept.FootComment
		case has.Kind != value.Kind:
			return changed, fmt.Errorf("line %d: %s is of another kind than what is to be added", has.Line, key.Value)
		case has.Kind == yaml.MappingNode:
			inner, err := mergeNode(has, value)
			if changed = changed || inner; err != nil {
				return changed, err
			}
		case has.Kind == yaml.SequenceNode:
			changed = extend(has, value) || changed
		default:
			changed = changed || has.Value != value.Value
			has.Value, has.Tag, has.Style = value.Value, value.Tag, value.Style
		}
	}
	return changed, nil
}

// unfold puts mappings, and lists of mappings, on lines of their own.
func unfold(n *yaml.Node) {
	switch {
	case n.Kind == yaml.MappingNode:
		n.Style &^= yaml.FlowStyle
		for i := 1; i < len(n.Content); i += 2 {
			unfold(n.Content[i])
		}
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode:
		n.Style &^= yaml.FlowStyle
	}
}

// extend appends the items that a list does not have yet.
func extend(list, more *yaml.Node) (changed bool) {
	have := map[string]bool{}
	for _, item := range list.Content {
		have[plainText(item)] = true
	}
	for _, item := range more.Content {
		if !have[plainText(item)] {
			list.Content = append(list.Content, item)
			changed = true
		}
	}
	return changed
}

// plainText is what a node says, without its comments and its style.
func plainText(n *yaml.Node) string {
	var v any
	if n.Decode(&v) != nil {
		return ""
	}
	return fmt.Sprintf("%#v", v)
}
