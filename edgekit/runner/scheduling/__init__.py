"""When integrations run: schedules, their due times, and a row for each of them.

`tick` is the whole of it: it makes a slot of every due time, starts what is to run and settles what has
ended. What a due time leads to is decided by `planning`, which knows neither file nor clock.
"""
