package users

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/causes"
)

// parseGroups reads a file of groups, as Apache's AuthGroupFile has them: a name and a colon, and behind it the users
// of the group, between blanks. A group may have several lines. It returns the groups of each user, in the order of the
// file. One bad line refuses the whole file: to leave out a line would take roles from users. Errors name the line.
func parseGroups(data []byte) (map[string][]string, error) {
	groups := make(map[string][]string)
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.Trim(line, blanks+"\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := addGroup(groups, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return groups, nil
}

func addGroup(groups map[string][]string, line string) error {
	group, members, found := strings.Cut(line, ":")
	if group = strings.Trim(group, blanks); !found || group == "" {
		return fmt.Errorf("no name and colon in front of the users of a group; write group: alice bob")
	}
	if strings.HasPrefix(group, "\ufeff") {
		return fmt.Errorf("a byte order mark; save the file as UTF-8 without it")
	}
	for name := range strings.FieldsFuncSeq(members, func(c rune) bool { return strings.ContainsRune(blanks, c) }) {
		if err := checkName(name); err != nil {
			return err
		}
		if slices.Contains(groups[name], group) {
			continue
		}
		if groups[name] = append(groups[name], group); len(groups) > MaxUsers {
			return fmt.Errorf("more than %d users", MaxUsers)
		}
		if err := CheckRoles(groups[name]); err != nil {
			return fmt.Errorf("the user %s: %w", causes.Quote(name), err)
		}
	}
	return CheckRoles([]string{group}) // it may have no users
}

// CheckGroups checks the content of such a file. An error names the line.
func CheckGroups(content []byte) error {
	_, err := parseGroups(content)
	return err
}
