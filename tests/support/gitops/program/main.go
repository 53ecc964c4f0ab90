// Command gitops answers what GitOps tools make of an object: Argo CD's scripts run in the virtual machine and with the
// libraries that Argo CD gives them, health check expressions in CEL with the functions and in the order that Flux has, and
// kstatus is Flux's own package.
//
// It reads one question per line as JSON, and answers each with a line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	jsonpatch "github.com/evanphx/json-patch"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

// The longest that Argo CD lets a script run.
const patience = time.Second

type question struct {
	Do          string            `json:"do"`
	Script      string            `json:"script"`
	Object      json.RawMessage   `json:"object"`
	Expressions map[string]string `json:"expressions"`
}

type answer struct {
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked question
		var said answer
		if err = json.Unmarshal(line, &asked); err == nil {
			said.Result, err = asked.answered()
		}
		if err != nil {
			said = answer{Error: err.Error()}
		}
		text, err := json.Marshal(said)
		if err != nil {
			text, _ = json.Marshal(answer{Error: err.Error()})
		}
		fmt.Println(string(text))
	}
}

func (asked question) answered() (any, error) {
	// The client of Kubernetes reads whole numbers as such, which kstatus and health check expressions rely on.
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(asked.Object); err != nil {
		return nil, err
	}
	switch asked.Do {
	case "script":
		return run(asked.Script, object.Object)
	case "action":
		return act(asked.Script, object.Object)
	case "kstatus":
		return status.Compute(object)
	case "expressions":
		return judged(asked.Expressions, object)
	}
	return nil, fmt.Errorf("%q is none of script, action, kstatus and expressions", asked.Do)
}

// judged returns what Flux makes of an object by an entry of `healthCheckExprs`: an older status is in progress, else the
// first expression that is true decides.
func judged(expressions map[string]string, object *unstructured.Unstructured) (any, error) {
	observed, found, err := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if err != nil {
		return nil, err
	}
	if found && observed != object.GetGeneration() {
		return status.Result{Status: status.InProgressStatus}, nil
	}
	for _, each := range []struct {
		name   string
		status status.Status
	}{
		{"inProgress", status.InProgressStatus},
		{"failed", status.FailedStatus},
		{"current", status.CurrentStatus},
	} {
		holds, err := evaluated(expressions[each.name], object.Object)
		if err != nil {
			return nil, err
		}
		if holds {
			return status.Result{Status: each.status}, nil
		}
	}
	return status.Result{Status: status.InProgressStatus}, nil
}

// evaluated returns whether an expression holds for an object; one that is not there does not.
func evaluated(expression string, object map[string]any) (bool, error) {
	if expression == "" {
		return false, nil
	}
	environment, err := cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
	)
	if err != nil {
		return false, err
	}
	tree, issues := environment.Parse(expression)
	if issues.Err() != nil {
		return false, issues.Err()
	}
	program, err := environment.Program(tree)
	if err != nil {
		return false, err
	}
	value, _, err := program.Eval(object)
	if err != nil {
		return false, err
	}
	holds, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("%q is neither true nor false", expression)
	}
	return holds, nil
}

// run returns what a script returns for an object.
func run(script string, object map[string]any) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	clock := map[string]lua.LGFunction{"time": timeNow, "date": dateNow}
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage,
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		call := lua.P{Fn: state.NewFunction(open), Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			return nil, err
		}
	}
	state.PreloadModule(lua.OsLibName, func(inner *lua.LState) int {
		inner.Push(inner.SetFuncs(inner.NewTable(), clock))
		return 1
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("actionParams", state.NewTable())
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		// Argo CD shows what failed without the stack of the virtual machine.
		if failed := (*lua.ApiError)(nil); errors.As(err, &failed) && failed.Type == lua.ApiErrorRun {
			failed.StackTrace = ""
		}
		return nil, err
	}
	text, err := luajson.Encode(state.Get(-1))
	if err != nil {
		return nil, err
	}
	return json.RawMessage(text), nil
}

// act returns the merge patch that Argo CD makes of an object and what an action returns for it.
func act(script string, object map[string]any) (any, error) {
	returned, err := run(script, object)
	if err != nil {
		return nil, err
	}
	after := &unstructured.Unstructured{}
	if err := after.UnmarshalJSON(returned.(json.RawMessage)); err != nil {
		return nil, err
	}
	original, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	modified, err := json.Marshal(mended(after.Object, object))
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.CreateMergePatch(original, modified)
	return json.RawMessage(patch), err
}

// mended puts empty maps back where Lua, to which an empty table is also a list, has made lists of them.
func mended(after, before any) any {
	switch was := before.(type) {
	case map[string]any:
		if list, ok := after.([]any); ok && len(list) == 0 {
			return map[string]any{}
		}
		if table, ok := after.(map[string]any); ok {
			for key, inner := range was {
				if found, ok := table[key]; ok {
					table[key] = mended(found, inner)
				}
			}
		}
	case []any:
		if list, ok := after.([]any); ok {
			for i := range min(len(list), len(was)) {
				list[i] = mended(list[i], was[i])
			}
		}
	}
	return after
}

// value returns a value of an object as one of Lua.
func value(state *lua.LState, given any) lua.LValue {
	switch known := given.(type) {
	case bool:
		return lua.LBool(known)
	case string:
		return lua.LString(known)
	case int64:
		return lua.LNumber(known)
	case float64:
		return lua.LNumber(known)
	case []any:
		table := state.NewTable()
		for _, inner := range known {
			table.Append(value(state, inner))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, inner := range known {
			table.RawSetString(key, value(state, inner))
		}
		return table
	}
	return lua.LNil
}

func timeNow(state *lua.LState) int {
	state.Push(lua.LNumber(time.Now().Unix()))
	return 1
}

func dateNow(state *lua.LState) int {
	state.Push(lua.LString(strconv.FormatInt(time.Now().Unix(), 10)))
	return 1
}
