-- What can be asked of a TrainingJob now. `run` is `modelwright run`.
local there = obj.metadata.deletionTimestamp == nil
local state = ((obj.status or {}).run or {}).state
local runs = state == "Pending" or state == "Running"
local replaces = (obj.spec.brakes or {}).concurrencyPolicy == "Replace"
local triggers = obj.spec.triggers ~= nil

return {
  ["run"] = {
    ["disabled"] = not there or state == nil or (runs and not replaces),
    ["displayName"] = "Run now",
    ["iconClass"] = "fa fa-fw fa-play-circle",
  },
  ["suspend"] = {
    ["disabled"] = not there or not triggers or obj.spec.suspend == true,
    ["displayName"] = "Suspend triggers",
    ["iconClass"] = "fa fa-fw fa-pause",
  },
  ["resume"] = {
    ["disabled"] = not there or obj.spec.suspend ~= true,
    ["displayName"] = "Resume triggers",
    ["iconClass"] = "fa fa-fw fa-play",
  },
}
