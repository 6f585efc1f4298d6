package integration

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// smuggled are bodies in which some reader finds a call of delete_file, and another one something harmless or nothing.
// None of them is one message in one meaning.
func smuggled() map[string]string {
	const harmless, wanted = "read_file", "delete_file"
	bad, good := call(wanted), call(harmless)
	params := fmt.Sprintf(`"params":{"name":%q}`, wanted)
	const request = `{"jsonrpc":"2.0","id":1,"method":"tools/call",`
	bodies := map[string]string{
		"a batch":                       "[" + bad + "]",
		"a batch of two":                "[" + good + "," + bad + "]",
		"a batch in a batch":            "[[" + bad + "]]",
		"an empty batch":                "[]",
		"two messages":                  good + bad,
		"two messages, the other order": bad + good,
		"two messages on two lines":     good + "\n" + bad,
		"two messages with a comma":     good + "," + bad,
		"two messages with a NUL":       good + "\x00" + bad,
		"two messages with RS":          "\x1e" + good + "\n\x1e" + bad + "\n", // RFC 7464
		"a text around it":              fmt.Sprintf("%q", bad),
		"a byte order mark":             "\ufeff" + bad,
		"a prefix against hijacking":    ")]}',\n" + bad,
		"a callback":                    "f(" + bad + ")",
		"a comment before it":           "/* */" + bad,
		"a comment behind it":           bad + "// x",
		"a comment that hides a name":   request + `"params":{"name":"read_file"/*,"name":"delete_file"*/}}`,
		"a hash comment":                "# x\n" + bad,
		"a comma too many":              strings.TrimSuffix(bad, "}") + ",}",
		"a brace too many":              bad + "}",
		"a brace too few":               strings.TrimSuffix(bad, "}"),
		"single quotes":                 strings.ReplaceAll(bad, `"`, `'`),
		"names without quotes": strings.ReplaceAll(strings.ReplaceAll(bad, `"method"`, `method`), `"name"`,
			`name`),
		"a vertical tab":                "\v" + bad,
		"a form feed":                   "\f" + bad,
		"a no-break space":              "\u00a0" + bad,
		"a line separator":              "\u2028" + bad,
		"an event stream":               "data: " + bad + "\n\n",
		"a header before it":            fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(bad), bad),
		"YAML":                          "jsonrpc: '2.0'\nid: 1\nmethod: tools/call\nparams: {name: delete_file}\n",
		"XML":                           "<methodCall><methodName>tools/call</methodName></methodCall>",
		"a form":                        "method=tools/call&params=" + wanted,
		"UTF-16, little end first":      utf16Text(bad, binary.LittleEndian),
		"UTF-16, big end first":         utf16Text(bad, binary.BigEndian),
		"UTF-7":                         strings.ReplaceAll(bad, `"`, "+ACI-"),
		"gzip":                          zipped(bad),
		"bytes that are no UTF-8":       strings.Replace(good, "read_file", "delete_file\xff", 1),
		"an overlong slash":             strings.Replace(bad, "tools/call", "tools\xc0\xafcall", 1),
		"a lone surrogate":              strings.Replace(bad, "delete_file", `delete_file\ud800`, 1),
		"surrogates in the wrong order": strings.Replace(bad, "delete_file", `\udc00\ud800delete_file`, 1),
		"half of an escape":             strings.Replace(bad, "delete_file", `delete\u005file\u00`, 1),
		"an escape of JavaScript":       strings.Replace(bad, "delete_file", `delete\x5ffile`, 1),
		"a line end in a text":          strings.Replace(bad, "delete_file", "delete_file\n", 1),
		"a NUL in a text":               strings.Replace(bad, "delete_file", "delete_file\x00", 1),
		"NaN":                           strings.Replace(bad, `"id":1`, `"id":NaN`, 1),
		"infinity":                      strings.Replace(bad, `"id":1`, `"id":-Infinity`, 1),
		"a number with a plus":          strings.Replace(bad, `"id":1`, `"id":+1`, 1),
		"a hexadecimal number":          strings.Replace(bad, `"id":1`, `"id":0x1`, 1),
		"a number with a zero before":   strings.Replace(bad, `"id":1`, `"id":01`, 1),
		"deep lists": strings.Replace(bad, `{"a":1}`, strings.Repeat("[", 9000)+strings.Repeat("]",
			9000), 1),
		"deep objects": strings.Replace(bad, `{"a":1}`, strings.Repeat(`{"a":`, 9000)+"1"+strings.Repeat(
			"}", 9000), 1),
		"lists that never end":       strings.Repeat("[", 500_000),
		"members without end":        strings.Replace(bad, `{"a":1}`, "{"+strings.Repeat(`"a":{},`, 20_000)+`"b":1}`, 1),
		"nothing":                    " ",
		"null":                       "null",
		"true":                       "true",
		"an empty object":            "{}",
		"the id as null":             strings.Replace(bad, `"id":1`, `"id":null`, 1),
		"the id as an object":        strings.Replace(bad, `"id":1`, `"id":{}`, 1),
		"the id as true":             strings.Replace(bad, `"id":1`, `"id":true`, 1),
		"no version":                 strings.Replace(bad, `"jsonrpc":"2.0",`, "", 1),
		"version 1":                  strings.Replace(bad, `"2.0"`, `"1.0"`, 1),
		"a version that is a number": strings.Replace(bad, `"2.0"`, `2.0`, 1),
		"a version with a blank":     strings.Replace(bad, `"2.0"`, `"2.0 "`, 1),
		"the version in capitals":    strings.Replace(bad, `"jsonrpc"`, `"JSONRPC"`, 1),
		"the method as a list":       strings.Replace(bad, `"tools/call"`, `["tools/call"]`, 1),
		"the method as an object":    strings.Replace(bad, `"tools/call"`, `{"name":"tools/call"}`, 1),
		"no method":                  `{"jsonrpc":"2.0","id":1,` + params + `}`,
		"a method and a result":      strings.Replace(bad, `"id":1`, `"id":1,"result":{}`, 1),
		"a method and an error":      strings.Replace(bad, `"id":1`, `"id":1,"error":{"code":1,"message":""}`, 1),
		"a result that hides a call": `{"jsonrpc":"2.0","id":1,"result":{},` + params + `}`,
		"params as a list":           request + `"params":["delete_file",{}]}`,
		"params as a text":           request + `"params":"{\"name\":\"delete_file\"}"}`,
		"params as null":             request + `"params":null}`,
		"params beside the object":   request + `"params":{"name":"read_file"},"Params":{"name":"delete_file"}}`,
		"the name outside of params": request + `"name":"delete_file","params":{"name":"read_file"}}`,
		"the name by a path":         request + `"params":{"name":"read_file"},"params.name":"delete_file"}`,
		"the name by brackets":       request + `"params":{"name":"read_file"},"params[name]":"delete_file"}`,
		"a prototype": request +
			`"params":{"name":"read_file"},"__proto__":{"params":{"name":"delete_file"}}}`,
		"the name as a list":              strings.Replace(bad, `"delete_file"`, `["delete_file"]`, 1),
		"the name as an object":           strings.Replace(bad, `"delete_file"`, `{"toString":"delete_file"}`, 1),
		"the name as a number":            strings.Replace(bad, `"delete_file"`, `7`, 1),
		"the name as null":                strings.Replace(bad, `"delete_file"`, `null`, 1),
		"no name":                         request + `"params":{"arguments":{}}}`,
		"a member from another protocol":  strings.Replace(bad, `"id":1`, `"id":1,"context":{}`, 1),
		"a member with NUL in its name":   strings.Replace(good, `"id":1`, `"id":1,"method\u0000":"x"`, 1),
		"a member with a long s":          strings.Replace(good, `"id":1`, `"id":1,"param\u017f":{"name":"delete_file"}`, 1),
		"a member in full width":          strings.Replace(good, `"id":1`, `"id":1,"ｐarams":{"name":"delete_file"}`, 1),
		"a member with a blank":           strings.Replace(good, `"id":1`, `"id":1," params":{"name":"delete_file"}`, 1),
		"an empty name of a member":       strings.Replace(good, `"id":1`, `"id":1,"":{"name":"delete_file"}`, 1),
		"a second name in full width":     strings.Replace(good, `"arguments"`, `"ｎame":"delete_file","arguments"`, 1),
		"a second name with a long mark":  strings.Replace(good, `"arguments"`, `"na\u0304me":"delete_file","arguments"`, 1),
		"a second name with NUL":          strings.Replace(good, `"arguments"`, `"name\u0000":"delete_file","arguments"`, 1),
		"a second name with a blank":      strings.Replace(good, `"arguments"`, `"name ":"delete_file","arguments"`, 1),
		"a second name with a zero width": strings.Replace(good, `"arguments"`, `"na\u200bme":"delete_file","arguments"`, 1),
	}
	for _, other := range []string{`"name"`, `"Name"`, `"NAME"`, `"nAme"`, `"n\u0061me"`, `"\u006e\u0061\u006d\u0065"`,
		`"_name"`,
		`"na-me"`, `"name."`} {
		bodies["a second name, last, as "+other] = strings.Replace(good, `,"arguments"`,
			`,`+other+`:"delete_file","arguments"`, 1)
		bodies["a second name, first, as "+other] = strings.Replace(good, `"name":`, other+`:"delete_file","name":`, 1)
	}
	for _, other := range []string{`"method"`, `"Method"`, `"METHOD"`, `"\u006dethod"`, `"metho\u0064"`, `"_method"`,
		`"method_"`} {
		ping := `{"jsonrpc":"2.0","id":1,"method":"ping",` + other + `:"tools/call",` + params + `}`
		bodies["a second method, last, as "+other] = ping
		bodies["a second method, first, as "+other] = strings.Replace(ping, `"method":"ping",`+other+`:"tools/call"`,
			other+`:"tools/call","method":"ping"`, 1)
	}
	for _, method := range []string{"Tools/Call", "TOOLS/CALL", "tools/call ", " tools/call", "tools//call", "/tools/call",
		"tools/call/", "tools.call", "tools_call", "toolsCall", "tools-call", "tools:call", "tools%2Fcall", "tools／call",
		"tools\\\\call", "tools/./call", "tools/call?x", "tools/call#x", "tools/call;x", "tools/ca\\u0000ll",
		"tools/call\\u0000",
		"tools/call\\n", "tooIs\\u200b/call", "ｔools/call", "toolſ/call"} {
		bodies["the method "+method] = strings.Replace(bad, "tools/call", method, 1)
	}
	return bodies
}

func utf16Text(text string, order binary.ByteOrder) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		out = append(out, 0, 0)
		order.PutUint16(out[len(out)-2:], unit)
	}
	return string(out)
}

func zipped(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.String()
}
