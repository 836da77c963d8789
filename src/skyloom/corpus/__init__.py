"""The corpus room: pages become documents (report 3.1 and 3.2), one module per box of the figure, in the order of the road."""
