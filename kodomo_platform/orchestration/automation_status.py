"""Whether sensors and schedules run from the start: yes, unless ``KODOMO_AUTOMATION=false``."""

import dagster as dg

from kodomo_platform.settings import get_settings

_ON = get_settings().automation
SENSOR_STATUS = dg.DefaultSensorStatus.RUNNING if _ON else dg.DefaultSensorStatus.STOPPED
SCHEDULE_STATUS = dg.DefaultScheduleStatus.RUNNING if _ON else dg.DefaultScheduleStatus.STOPPED
