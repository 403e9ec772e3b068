// placeholder of the room while the first job is built
#pragma once
