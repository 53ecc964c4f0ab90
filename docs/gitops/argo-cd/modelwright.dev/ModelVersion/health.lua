-- Health of a TrainingJob, a ModelVersion or an InferenceService: the conditions Ready, Reconciling and Stalled.
local paused = { CanaryPaused = true, AwaitingApproval = true, GateInconclusive = true }
local status = obj.status or {}
if status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not seen this version of the spec yet" }
end
local ready, stalled = nil, false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition
  elseif condition.type == "Stalled" and condition.status == "True" then
    stalled = true
  end
end
if ready == nil then
  return { status = "Progressing", message = "the operator has not written a condition yet" }
end
local health = "Progressing"
if stalled then
  health = "Degraded"
elseif ready.status == "True" then
  health = "Healthy"
elseif paused[ready.reason] then
  health = "Suspended"
end
return { status = health, message = ready.message }
