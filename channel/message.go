// Package channel is what the host and an adapter to a chat network say to each other:
// typed messages, a line of JSON each, over the adapter's standard input and output.
// The adapter runs in a sandbox of its own and is not trusted; neither is what people
// write to it. docs/CHANNELS.md is the protocol in words.
package channel

// Version is the version of the protocol.
const Version = 1

// The types of messages.
const (
	Hello    = "hello"    // from the adapter, first: who it is and what it can do
	Welcome  = "welcome"  // from the host, to that
	Said     = "message"  // from the adapter: somebody has written
	Send     = "send"     // from the host: to be written to somebody
	Ack      = "ack"      // from either: that message is in safe hands
	Failed   = "error"    // from either: that message is not, and why
	Typing   = "typing"   // from either: somebody is about to write
	Fetch    = "fetch"    // from either: a piece of an attachment is wanted
	Chunk    = "chunk"    // from either: here it is
	Check    = "check"    // from the host: how are you?
	Health   = "health"   // from the adapter: to that, or whenever it changes
	Shutdown = "shutdown" // from the host: finish what is begun, and end
)

// The bounds of the protocol, in bytes where nothing else is said.
const (
	MaxLine        = 512 << 10 // one message
	MaxText        = 64 << 10
	MaxName        = 256 // ids, names, references
	MaxChunk       = 256 << 10
	MaxAttachment  = 64 << 20
	MaxAttachments = 16 // of one message
	MaxFeatures    = 16
)

// Message is one message. Which of its fields it has, its type says.
type Message struct {
	Type string `json:"type"`

	// Of Hello and Welcome.
	Protocol int      `json:"protocol,omitempty"`
	Name     string   `json:"name,omitempty"`
	Release  string   `json:"release,omitempty"`  // of the adapter
	Features []string `json:"features,omitempty"` // of those below

	// Of what is written. The ID is the sender's: whoever gets the same one again has
	// the same message again. An acknowledgement, and an error, has that ID.
	ID           string       `json:"id,omitempty"`
	Conversation string       `json:"conversation,omitempty"` // as the network names it
	From         *Person      `json:"from,omitempty"`
	Text         string       `json:"text,omitempty"`
	Time         string       `json:"time,omitempty"`  // RFC 3339
	Reply        string       `json:"reply,omitempty"` // the network's id of the message that this replies to
	Attachments  []Attachment `json:"attachments,omitempty"`
	Network      string       `json:"network,omitempty"` // the network's id of a message
	Active       *bool        `json:"active,omitempty"`  // of Typing: begins or ends

	Code  string `json:"code,omitempty"`  // of Failed
	After int    `json:"after,omitempty"` // of Failed: seconds after which another try may help
	State string `json:"state,omitempty"` // of Health

	Ref    string `json:"ref,omitempty"` // of Fetch and Chunk: the attachment
	Offset *int64 `json:"offset,omitempty"`
	Data   []byte `json:"data,omitempty"`
	Last   bool   `json:"last,omitempty"`
}

// Person is somebody on the network. The ID is the network's, and counts; the name is
// what they call themselves, and proves nothing.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// Attachment is something that comes with a message. Its bytes come only where they are
// fetched: the one who is offered it decides, and never opens a file of the other's.
type Attachment struct {
	Ref    string `json:"ref"`
	Name   string `json:"name,omitempty"`  // as people see it: no path
	Media  string `json:"media,omitempty"` // such as image/png, as the sender says
	Size   int64  `json:"size"`
	Digest string `json:"digest"` // sha256:… of all its bytes
}

// The features that an adapter may have.
var features = []string{"typing", "replies", "attachments"}

// The codes of errors, and the states of health.
var (
	codes  = []string{"invalid", "unknown", "too-large", "denied", "limited", "unavailable", "failed"}
	states = []string{"ok", "degraded", "down"}
)
