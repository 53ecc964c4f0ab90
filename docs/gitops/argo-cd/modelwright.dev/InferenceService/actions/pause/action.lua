-- Asks the operator to keep the canary at its step.
if obj.metadata.deletionTimestamp ~= nil then
  error("it is being deleted", 0)
end
local status, rollout = obj.status or {}, obj.spec.rollout or {}
local canary = status.canary
local over = canary == nil or canary.state == "Failed" or canary.state == "Completing"
if over or status.stable == nil or rollout.strategy == "Replace" then
  error("nothing to pause: no canary goes through steps", 0)
end
if canary.paused then
  error("it is paused already", 0)
end
local revision = canary.revision

-- The token is new with each change of the object: the operator carries each request out once.
local token = "argocd-" .. obj.metadata.resourceVersion .. "." .. obj.metadata.uid
local annotations = obj.metadata.annotations or {}
annotations["modelwright.dev/rollout"] = "pause@" .. revision .. "#" .. token
-- Argo CD does not tell scripts who asks. The name of an earlier request would be wrong.
annotations["modelwright.dev/rollout-requested-by"] = nil
obj.metadata.annotations = annotations
return obj
