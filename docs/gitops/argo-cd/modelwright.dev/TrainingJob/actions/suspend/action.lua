-- Keeps triggers from starting runs. A spec in Git that has the field wins at the next sync.
obj.spec.suspend = true
return obj
