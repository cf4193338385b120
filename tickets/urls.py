from django.urls import path

from tickets import views

urlpatterns = [path("files/<str:token>/", views.attachment, name="attachment")]
