-- Asks the operator to give the canary its next step.
if obj.metadata.deletionTimestamp ~= nil then
  error("it is being deleted", 0)
end
local status, rollout = obj.status or {}, obj.spec.rollout or {}
local canary = status.canary
if canary == nil or canary.state ~= "Shifting" or status.stable == nil or rollout.strategy == "Replace" then
  error("nothing to promote: no canary has a share of the traffic", 0)
end
local revision = canary.revision

-- The token is new with each change of the object: the operator carries each request out once.
local token = "argocd-" .. obj.metadata.resourceVersion .. "." .. obj.metadata.uid
local annotations = obj.metadata.annotations or {}
annotations["modelwright.dev/rollout"] = "promote@" .. revision .. "#" .. token
-- Argo CD does not tell scripts who asks. The name of an earlier request would be wrong.
annotations["modelwright.dev/rollout-requested-by"] = nil
obj.metadata.annotations = annotations
return obj
