-- Which requests about a rollout make sense now. They are those of `modelwright rollout`.
local status, rollout = obj.status or {}, obj.spec.rollout or {}
local canary, stable, retired = status.canary, status.stable, status.retired
local rejected = status.rejected or {}
local there = obj.metadata.deletionTimestamp == nil
local runs = there and canary ~= nil and canary.state ~= "Failed"
-- A first version, and one that replaces another at once, take no steps.
local steps = runs and canary.state ~= "Completing" and stable ~= nil and rollout.strategy ~= "Replace"
local shifts = steps and canary.state == "Shifting"

-- Which of several rejected revisions is meant is clear only if the last decision was about the newest one.
local clear = #rejected == 1
if #rejected > 1 and status.lastDecision ~= nil then
  clear = status.lastDecision.revision == rejected[1].revision
end
local failed = canary ~= nil and canary.state == "Failed"

-- A revision that lost the traffic comes back at once only if it lost it by an undo.
local back = stable ~= nil and retired ~= nil
if back and retired.undone then
  back = false
  for _, each in ipairs(rejected) do
    back = back or (each.reason == "Undone" and each.revision == retired.revision)
  end
end

return {
  ["promote"] = {
    ["disabled"] = not shifts,
    ["displayName"] = "Promote to the next step",
    ["iconClass"] = "fa fa-fw fa-step-forward",
  },
  ["promote-full"] = {
    ["disabled"] = not shifts,
    ["displayName"] = "Promote past all steps",
    ["iconClass"] = "fa fa-fw fa-fast-forward",
  },
  ["abort"] = { ["disabled"] = not runs, ["displayName"] = "Abort", ["iconClass"] = "fa fa-fw fa-stop" },
  ["pause"] = {
    ["disabled"] = not steps or canary.paused == true,
    ["displayName"] = "Pause",
    ["iconClass"] = "fa fa-fw fa-pause",
  },
  ["resume"] = {
    ["disabled"] = not steps or canary.paused ~= true,
    ["displayName"] = "Resume",
    ["iconClass"] = "fa fa-fw fa-play",
  },
  ["retry"] = {
    ["disabled"] = not there or not (failed or (canary == nil and clear)),
    ["displayName"] = "Retry",
    ["iconClass"] = "fa fa-fw fa-redo",
  },
  ["undo"] = {
    ["disabled"] = not there or not back,
    ["displayName"] = "Undo: back to the version before",
    ["iconClass"] = "fa fa-fw fa-undo",
  },
}
