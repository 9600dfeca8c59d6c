"""The core: customers, events, the columnar log, time, results, errors. It imports no other part of the library.

Data flow one way: columns come in through `EventLog`, `CustomerTable` and `ItemTable`, are joined on one customer index
in `CustomerBase`, and every package reads them from there. `checks` validates arguments on entry; kernels trust their
input.
"""
