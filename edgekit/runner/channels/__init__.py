"""The channels: how a communication travels, and the job that sends it.

Which integration or provider serves a channel is configuration, of the type CHANNEL_ and the channel's code,
along the scope chain. SMS, PHONE and MAIL that nothing serves are tasks for a person.
"""
