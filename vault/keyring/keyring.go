// Package keyring keeps secrets in the keyring of the owner's desktop: whatever
// answers to the Secret Service on the session's bus (GNOME Keyring, KWallet,
// KeePassXC).
package keyring

import (
	"context"
	"errors"
	"time"

	"github.com/godbus/dbus/v5"

	"nacre/fault"
)

// Keyring is the owner's. The zero value has none.
type Keyring struct {
	Bus string // the session's bus, as DBUS_SESSION_BUS_ADDRESS says it
}

// The Secret Service's names (freedesktop.org, Secret Service API 0.2).
const (
	service    = "org.freedesktop.secrets"
	root       = dbus.ObjectPath("/org/freedesktop/secrets")
	serviceIs  = "org.freedesktop.Secret.Service"
	collection = "org.freedesktop.Secret.Collection"
	item       = "org.freedesktop.Secret.Item"
	nothing    = dbus.ObjectPath("/")
)

// patience is how long the keyring may take for one answer.
const patience = 10 * time.Second

// secret is how the Secret Service carries a value.
type secret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

// open is a conversation with the keyring.
type open struct {
	conn    *dbus.Conn
	ctx     context.Context
	session dbus.ObjectPath
	place   dbus.ObjectPath // the collection that new secrets go to
}

// call asks one thing.
func (o *open) call(at dbus.ObjectPath, method string, args []any, into ...any) error {
	return o.conn.Object(service, at).CallWithContext(o.ctx, method, 0, args...).Store(into...)
}

// with opens the keyring, which must be there and not locked: nobody is asked to
// unlock it, since a run may have nobody to ask.
func (k Keyring) with(do func(*open) error) error {
	if k.Bus == "" {
		return absent(errors.New("there is no session bus"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := dbus.Connect(k.Bus, dbus.WithContext(ctx))
	if err != nil {
		return absent(err)
	}
	defer conn.Close()
	o := &open{conn: conn, ctx: ctx}
	var output dbus.Variant
	if err := o.call(root, serviceIs+".OpenSession", []any{"plain", dbus.MakeVariant("")}, &output, &o.session); err != nil {
		return absent(err)
	}
	if err := o.call(root, serviceIs+".ReadAlias", []any{"default"}, &o.place); err != nil {
		return absent(err)
	}
	if o.place == nothing {
		return fault.New(fault.NotFound, "the keyring has no default collection").WithHint("make one with your desktop's program for passwords, or leave --keyring out")
	}
	return do(o)
}

func absent(err error) error {
	return fault.Wrap(fault.NotFound, err, "there is no keyring").
		WithHint("log in to a desktop with one (GNOME Keyring, KWallet), or keep the secret without --keyring")
}

func locked() error {
	return fault.New(fault.NotFound, "the keyring is locked").WithHint("unlock it with your desktop's program for passwords, and try again")
}

func attributes(name string) map[string]string {
	return map[string]string{"application": "nacre", "name": name}
}

// find is where a secret is; nothing: it is not there.
func (o *open) find(name string) (dbus.ObjectPath, error) {
	var unlocked, shut []dbus.ObjectPath
	if err := o.call(root, serviceIs+".SearchItems", []any{attributes(name)}, &unlocked, &shut); err != nil {
		return nothing, err
	}
	switch {
	case len(unlocked) > 0:
		return unlocked[0], nil
	case len(shut) > 0:
		return nothing, locked()
	}
	return nothing, nil
}

// shut tells whether the collection for new secrets is locked.
func (o *open) shut() (bool, error) {
	v, err := o.conn.Object(service, o.place).GetProperty(collection + ".Locked")
	if err != nil {
		return false, err
	}
	is, ok := v.Value().(bool)
	return is || !ok, nil
}

// Set keeps a value, in place of what was there.
func (k Keyring) Set(name string, value []byte) error {
	return k.with(func(o *open) error {
		if is, err := o.shut(); err != nil || is {
			return errors.Join(err, locked())
		}
		properties := map[string]dbus.Variant{item + ".Label": dbus.MakeVariant("Nacre: " + name), item + ".Attributes": dbus.MakeVariant(attributes(name))}
		var made, prompt dbus.ObjectPath
		if err := o.call(o.place, collection+".CreateItem", []any{properties, secret{o.session, []byte{}, value, "text/plain"}, true}, &made, &prompt); err != nil {
			return err
		}
		if made == nothing {
			return locked() // it would have asked somebody
		}
		return nil
	})
}

// Get is the value of a secret.
func (k Keyring) Get(name string) (value []byte, err error) {
	err = k.with(func(o *open) error {
		at, err := o.find(name)
		if err != nil {
			return err
		}
		if at == nothing {
			return fault.New(fault.NotFound, "the keyring has no secret %s of Nacre's", name).WithHint("nacre secret rotate %s --keyring", name)
		}
		var s secret
		err = o.call(at, item+".GetSecret", []any{o.session}, &s)
		value = s.Value
		return err
	})
	return value, err
}

// Remove forgets a secret; one that is not there is forgotten already.
func (k Keyring) Remove(name string) error {
	return k.with(func(o *open) error {
		at, err := o.find(name)
		if err != nil || at == nothing {
			return err
		}
		var prompt dbus.ObjectPath
		if err := o.call(at, item+".Delete", nil, &prompt); err != nil {
			return err
		}
		if prompt != nothing {
			return locked()
		}
		return nil
	})
}
