"""`iris capacity`: from daily users to nodes, memory, disks, network and dollars, by formulas and measured costs."""
