"""The core: customers, events, the columnar log, time, results, errors. It knows nothing else of the library.

Data flow one way: columns come in through `EventLog`, `CustomerTable` and `ItemTable`, meet on one customer index in
`CustomerBase`, and every package reads them from there. `checks` validates at the door; kernels trust their input.
"""
