-- Lets triggers start runs again. A spec in Git that has the field wins at the next sync.
obj.spec.suspend = false
return obj
