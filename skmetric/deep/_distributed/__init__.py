"""Training by several processes: the setting, the group, and how its processes start.

`_settings` is what the user gives, `_group` what the training loop asks, `_joining` finds a group that a
launcher made, `_launch` starts one, `_handing_over` carries an estimator and its data to new processes and
back.
"""
