module nacre

go 1.26
